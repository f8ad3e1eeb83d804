const sum = (numbers) => (numbers || []).reduce((all, one) => all + one, 0);
const known = (value) => value !== null && value !== undefined;

function whole(number) {
  return number.toLocaleString("en-US");
}

function short(number) {
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (number >= size) {
      const scaled = number / (size === 1e4 ? 1e3 : size);
      return scaled.toFixed(scaled < 100 ? 1 : 0) + unit;
    }
  }
  return whole(Math.round(number));
}

function bytes(number) {
  for (const [size, unit] of [[2 ** 30, "GB"], [2 ** 20, "MB"], [2 ** 10, "KB"]]) {
    if (number >= size) return (number / size).toFixed(1) + " " + unit;
  }
  return number + " B";
}

function ms(number) {
  if (!known(number)) return "–";
  if (number < 1000) return number + " ms";
  if (number < 60000) return (number / 1000).toFixed(number < 10000 ? 2 : 1) + " s";
  return Math.floor(number / 60000) + " m " + Math.round((number % 60000) / 1000) + " s";
}

function span(seconds) {
  if (seconds < 90) return Math.max(0, Math.round(seconds)) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 129600) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " d";
}

function percent(ratio) {
  if (!known(ratio) || Number.isNaN(ratio)) return "–";
  const text = (ratio * 100).toFixed(ratio > 0.995 && ratio < 1 ? 2 : 1);
  return (ratio === 1 ? "100" : ratio < 1 && Number(text) >= 100 ? "99.99" : text) + " %";
}

// Amounts are decimal texts; only what is shown is rounded.
function money(text, unit) {
  if (!known(text)) return "–";
  const number = Number(text);
  const digits = number === 0 || number >= 100 ? 2 : number >= 1 ? 3 : number >= 0.0001 ? 5 : 8;
  const shownNumber = number.toLocaleString("en-US", {minimumFractionDigits: 2, maximumFractionDigits: digits});
  return unit ? shownNumber + " " + unit : shownNumber;
}

function clock(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? "–" : time.toLocaleTimeString("en-GB");
}

function stamp(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? "–" : time.toLocaleString("en-GB", {dateStyle: "medium", timeStyle: "short"});
}

// Costs by unit: units are never added to each other.
function costsByUnit(providers) {
  const units = new Map();
  for (const provider of providers) {
    if (!provider.hour) continue;
    const unit = provider.unit || "";
    units.set(unit, (units.get(unit) || 0) + sum(provider.hour.cost.map(Number)));
  }
  return [...units].filter(([, cost]) => cost > 0);
}
