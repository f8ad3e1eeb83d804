// Key figures, charts and providers.

const STATES = {
  up: ["good", "●", "Up"], degraded: ["warn", "◐", "Degraded"],
  benched: ["bad", "○", "Benched"], drained: ["", "◌", "Drained"],
};
const KEY_STATES = {ready: ["good", "ready"], benched: ["warn", "benched"], missing: ["bad", "missing"]};

function showFigures(report) {
  const hours = report.providers.map((provider) => provider.hour).filter(Boolean);
  const all = (name) => sum(hours.map((hour) => sum(hour[name])));
  const latest = (name) => sum(hours.map((hour) => sum(hour[name].slice(-6, -1)))) / 5;
  const [requests, errors, attempts, failures] = ["requests", "errors", "attempts", "failures"].map(all);
  const moved = sum(report.flows.map((flow) => flow.count));
  const costs = costsByUnit(report.providers);
  const errorRatio = requests ? errors / requests : null;
  const inState = (...states) => report.providers.filter((provider) => states.includes(provider.state)).length;
  const figures = [
    ["Requests", latest("requests").toFixed(1), "per minute", ""],
    ["Failed requests", percent(errorRatio), whole(errors) + " of " + short(requests), errorRatio > 0.05 ? "bad" : errorRatio > 0.01 ? "warn" : ""],
    ["Failed attempts", percent(attempts ? failures / attempts : null), whole(failures), ""],
    ["Fallbacks", whole(moved), "last hour", ""],
    ["Tokens", short(all("input_tokens") + all("output_tokens")), "last hour", ""],
    ["Cost", costs.length ? costs.map(([, cost]) => money(cost)).join(" · ") : "–", costs.map(([unit]) => unit).concat("last hour").join(", "), ""],
    ["Open streams", whole(report.open_streams), "", ""],
    ["Providers up", inState("up", "degraded") + " / " + report.providers.length, "", inState("benched") ? "bad" : ""],
  ];
  show("figures", figures, () => figures.map(([name, value, note, level]) =>
    make(level ? "div." + level : "div", null, make("dt", null, name), make("dd", null, value, note ? make("small", null, note) : null))));
}

function showCharts(report) {
  const active = report.providers.filter((provider) => provider.hour);
  active.forEach((provider) => place(provider.name));
  const busiest = [...active].sort((a, b) => sum(b.hour.attempts) - sum(a.hour.attempts)).slice(0, COLOURS);
  busiest.sort((a, b) => places.get(a.name) - places.get(b.name));
  chart("traffic", report.time, busiest.map((provider) => ({
    name: provider.name, values: provider.hour.attempts, text: short(sum(provider.hour.attempts)),
  })), {least: 1, fill: true, text: short, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6]});
  const timed = busiest.filter((provider) => provider.hour.ttft_ms.some(known));
  chart("latency", report.time, timed.map((provider) => ({
    name: provider.name, values: provider.hour.ttft_ms, text: ms(weighted(provider.hour)),
  })), {least: 100, fill: false, spanGaps: true, text: ms});
}

// The mean of the minutes, each by its attempts.
function weighted(hour) {
  let time = 0, count = 0;
  hour.ttft_ms.forEach((value, at) => {
    const good = hour.attempts[at] - hour.failures[at];
    if (known(value) && good > 0) [time, count] = [time + value * good, count + good];
  });
  return count ? Math.round(time / count) : null;
}

function strip(provider) {
  const {attempts, failures} = provider.hour || {attempts: [], failures: []};
  const cells = Array.from({length: 60}, (_, at) => {
    const [tried, failed] = [attempts[at] || 0, failures[at] || 0];
    const level = !tried ? "" : failed / tried < 0.02 ? "good" : failed / tried < 0.2 ? "warn" : "bad";
    // What failed is lower, too: colour is not all that tells it.
    const height = !tried ? 3 : 22 - Math.round(14 * failed / tried);
    return draw("rect", {x: at * 5, y: 22 - height, width: 4, height, rx: 1, class: level});
  });
  const label = known(provider.hour) ? whole(sum(failures)) + " of " + whole(sum(attempts)) + " attempts failed within the last hour" : "Nothing within the last hour";
  return draw("svg", {class: "strip", viewBox: "0 0 299 22", preserveAspectRatio: "none", role: "img", "aria-label": label}, ...cells);
}

function keyChip(key) {
  const [level, word] = KEY_STATES[key.state] || ["", key.state];
  const text = key.state === "ready" ? key.id : key.id + " · " + word;
  return make("span.chip.mono" + (level ? "." + level : ""), {title: word + (key.until ? " until " + stamp(key.until) : "")}, text);
}

function providerRow(provider, now) {
  const [level, sign, word] = STATES[provider.state] || ["", "?", provider.state];
  const hour = provider.hour;
  const [attempts, failures] = hour ? [sum(hour.attempts), sum(hour.failures)] : [0, 0];
  const until = provider.benched_until ? " for " + span((new Date(provider.benched_until) - now) / 1000) : "";
  const targets = (provider.targets || []).map((target) => target.model || target.key).filter(Boolean);
  const cell = (label, what, ...children) => make("td" + what, {"data-label": label}, ...children);
  return make("tr", null,
    cell("Provider", ".name", provider.name),
    cell("State", "", make("span.badge" + (level ? "." + level : ""), targets.length ? {title: "Benched: " + targets.join(", ")} : null,
      make("span", {"aria-hidden": "true"}, sign), word + until)),
    cell("Success by minute", ".wide", strip(provider)),
    cell("Success", ".n", percent(attempts ? 1 - failures / attempts : null)),
    cell("Attempts", ".n", short(attempts)),
    cell("First token", ".n", ms(hour ? weighted(hour) ?? provider.latency_ms : provider.latency_ms)),
    cell("Tokens", ".n", hour ? short(sum(hour.input_tokens) + sum(hour.output_tokens)) : "–"),
    cell("Cost", ".n", hour && sum(hour.cost.map(Number)) > 0 ? money(sum(hour.cost.map(Number)), provider.unit) : "–"),
    cell("Keys", "", make("span.chips", null, ...provider.keys.map(keyChip))));
}

const statesBefore = new Map();
function showProviders(report) {
  const now = new Date(report.time);
  const changes = [];
  for (const {name, state} of report.providers) {
    if (statesBefore.has(name) && statesBefore.get(name) !== state) changes.push(name + " is " + state);
    statesBefore.set(name, state);
  }
  if (changes.length) say(changes.join(", "));
  show("providers", [report.providers, report.providers.some((one) => one.benched_until) ? report.time : 0], () => report.providers.map((provider) => providerRow(provider, now)));
}
