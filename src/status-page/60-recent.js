// The latest requests: filtered, and as CSV.

const COLUMNS = ["event_id", "time", "status", "provider", "model", "chain", "attempts", "fallback", "streaming",
  "client_aborted", "truncated", "ttft_ms", "duration_ms", "input_tokens", "output_tokens", "cost", "unit", "org",
  "project", "client", "tag"];
let requests = [];
const rows = new Map();

const isFailed = (request) => request.status >= 400 || request.truncated;

function matches(request) {
  const needle = $("needle").value.trim().toLowerCase();
  const kind = $("kind").value, provider = $("provider").value;
  if (provider && request.provider !== provider) return false;
  if (kind === "failed" && !isFailed(request)) return false;
  if (kind === "fallback" && !request.fallback) return false;
  if (kind === "stream" && !request.streaming) return false;
  if (kind === "slow" && request.duration_ms < 10000) return false;
  return !needle || COLUMNS.some((name) => known(request[name]) && String(request[name]).toLowerCase().includes(needle));
}

// "provider/model:429:212ms" or "provider/model:skipped(benched)".
function chainChips(chain) {
  const chips = [];
  for (const part of chain.split(", ").filter(Boolean)) {
    const found = /^(.*?):(skipped\(\w+\)|\w+)(?::(\d+)ms)?$/.exec(part);
    const [target, result, time] = found ? found.slice(1) : [part, "", ""];
    const level = result.startsWith("skipped") ? ".skip-target" : /^[23]\d\d$/.test(result) ? ".good" : result ? ".bad" : "";
    if (chips.length) chips.push(make("span.arrow", {"aria-hidden": "true"}, "→"));
    chips.push(make("span.chip" + level, {title: part}, [target, result, time ? ms(Number(time)) : ""].filter(Boolean).join(" ")));
  }
  return make("span.chips", null, ...chips);
}

function requestRow(request) {
  const level = isFailed(request) ? "bad" : request.fallback || request.client_aborted ? "warn" : "good";
  const note = request.truncated ? " cut" : request.client_aborted ? " left" : "";
  const owner = [request.org, request.project, request.client, request.tag && "#" + request.tag].filter(Boolean).join(" / ");
  const served = [request.provider, request.model].filter(Boolean).join("/");
  const cell = (label, what, ...children) => make("td" + what, {"data-label": label}, ...children);
  const row = make("tr", null,
    cell("Time", ".n", make("time", {datetime: request.time}, clock(request.time))),
    cell("Status", "", make("span.badge." + level, null, request.status + note)),
    cell("Served by", ".served", served || "–"),
    cell("Chain", ".wide", chainChips(request.chain)),
    cell("First token", ".n", ms(request.ttft_ms)),
    cell("Total", ".n", ms(request.duration_ms)),
    cell("In", ".n", known(request.input_tokens) ? whole(request.input_tokens) : "–"),
    cell("Out", ".n", known(request.output_tokens) ? whole(request.output_tokens) : "–"),
    cell("Cost", ".n", money(request.cost, request.unit)),
    cell("Whose", ".who", owner || "–"),
    cell("Id", ".id.mono", request.event_id));
  row.querySelector(".served").title = served;
  row.querySelector(".who").title = owner;
  row.querySelector(".id").title = request.event_id;
  return row;
}

function showRecent(report) {
  const isFirst = !rows.size;
  requests = report.recent;
  const alive = new Set(requests.map((request) => request.event_id));
  for (const id of rows.keys()) if (!alive.has(id)) rows.delete(id);
  for (const request of requests) {
    if (rows.has(request.event_id)) continue;
    const row = requestRow(request);
    if (!isFirst) row.classList.add("new");
    rows.set(request.event_id, row);
  }
  const names = [...new Set(requests.map((request) => request.provider).filter(Boolean))].sort();
  const chosen = $("provider").value;
  show("provider", names, () => ["", ...names].map((name) => make("option", {value: name}, name || "All providers")));
  if (names.includes(chosen)) $("provider").value = chosen;
  applyFilter();
}

function applyFilter() {
  const wanted = requests.filter(matches);
  const body = $("recent");
  const list = wanted.map((request) => rows.get(request.event_id));
  // Rows that are there already are not touched, so that a selection stays.
  list.forEach((row, at) => {
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] || null);
  });
  while (body.children.length > list.length) body.lastElementChild.remove();
  $("shown").textContent = requests.length ? wanted.length + " of " + requests.length : "";
  $("no-recent").hidden = list.length > 0;
  $("no-recent").textContent = requests.length ? "No request matches the filter." : "No request yet.";
}

function csvCell(value) {
  let text = known(value) ? String(value) : "";
  // A spreadsheet would run a client's tag as a formula.
  if (/^[=+\-@\t\r]/.test(text)) text = "'" + text;
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function csv() {
  const lines = requests.filter(matches).map((request) => COLUMNS.map((name) => csvCell(request[name])).join(","));
  return [COLUMNS.join(","), ...lines].join("\r\n") + "\r\n";
}

function downloadCsv() {
  const address = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
  make("a", {href: address, download: "llm-requests.csv"}).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
