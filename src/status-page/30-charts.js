// Lines over the last hour, one for each provider.

const COLOURS = 8;
const charts = new Map();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A provider keeps its colour however the others come and go.
const places = new Map();
function place(name) {
  if (!places.has(name)) places.set(name, places.size % COLOURS);
  return places.get(name);
}

function minutesUntil(time, count) {
  const last = Math.floor(new Date(time).getTime() / 60000) * 60;
  return Array.from({length: count}, (_, at) => last - 60 * (count - 1 - at));
}

// lines: [{name, values, text}]; text is what the legend says beside the name.
function chart(id, time, lines, axis) {
  const names = lines.map((line) => line.name).join("\n");
  const data = [minutesUntil(time, 60), ...lines.map((line) => line.values)];
  const known = charts.get(id);
  if (known && known.names === names) {
    known.plot.setData(data);
  } else {
    if (known) known.plot.destroy();
    charts.set(id, {names, axis, lines, plot: plot(id, data, lines, axis)});
  }
  charts.get(id).lines = lines;
  $(id).setAttribute("aria-label", lines.length
    ? lines.map((line) => line.name + ": " + line.text).join("; ") : "No data yet");
  show(id + "-legend", lines.map((line) => [line.name, line.text]), (entries) => entries.map(([name, text]) => {
    const mark = make("i", {"aria-hidden": "true"});
    mark.style.background = "var(--s" + place(name) + ")";
    return make("li", null, mark, name, make("b", null, text));
  }));
}

function plot(id, data, lines, axis) {
  const ink = colour("--dim"), grid = {stroke: colour("--line"), width: 1}, font = "11px system-ui, sans-serif";
  const series = lines.map((line) => ({
    label: line.name,
    stroke: colour("--s" + place(line.name)),
    fill: axis.fill ? colour("--s" + place(line.name)) + "1f" : undefined,
    width: 1.75, points: {size: 4, show: (u, at) => lonely(u.data[at])}, spanGaps: axis.spanGaps,
  }));
  const common = {stroke: ink, grid, ticks: {show: false}, font};
  return new uPlot({
    ...size(id), legend: {show: false}, cursor: {drag: {x: false, y: false}, points: {size: 6}},
    scales: {x: {time: true}, y: {range: (u, low, high) => [0, Math.max(axis.least, high * 1.12 || 0)]}},
    axes: [
      {...common, values: (u, times) => times.map((t) => new Date(t * 1000).toLocaleTimeString("en-GB", {hour: "2-digit", minute: "2-digit"})), space: 60, size: 28},
      {...common, size: 52, values: (u, values) => values.map(axis.text), incrs: axis.incrs},
    ],
    series: [{}, ...series],
  }, data, $(id));
}

// A value without neighbours would draw no line.
function lonely(values) {
  return values.some((value, at) => known(value) && !known(values[at - 1]) && !known(values[at + 1]));
}

function size(id) {
  const box = $(id);
  return {width: Math.max(200, box.clientWidth), height: Math.max(120, box.clientHeight)};
}

function fitCharts() {
  for (const [id, {plot: one}] of charts) one.setSize(size(id));
}

// Colours are read when a chart is made.
function redrawCharts() {
  for (const [id, one] of charts) {
    const data = one.plot.data;
    one.plot.destroy();
    one.plot = plot(id, data, one.lines, one.axis);
  }
}
