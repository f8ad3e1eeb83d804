// Asks this very address for JSON again and again, while the page can be seen.

const PERIOD_MS = 2000, SLOWEST_MS = 15000, PATIENCE_MS = 10000;
let paused = false, timer = 0, failures = 0, updated = 0, asking = false;

async function ask() {
  clearTimeout(timer);
  if (asking || paused || document.hidden) return;
  asking = true;
  const giveUp = new AbortController();
  const patience = setTimeout(() => giveUp.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(location.pathname + location.search, {headers: {Accept: "application/json"}, cache: "no-store", signal: giveUp.signal});
    if (!answer.ok) throw new Error("the gateway answers " + answer.status);
    showReport(await answer.json());
    [failures, updated] = [0, Date.now()];
    $("alarm").hidden = true;
  } catch (error) {
    failures += 1;
    if (failures > 1) {
      $("alarm").textContent = "No fresh numbers: " + (error.name === "AbortError" ? "no answer in time" : error.message) + ". What you see is old; the page goes on trying.";
      $("alarm").hidden = false;
    }
  } finally {
    clearTimeout(patience);
    asking = false;
    timer = setTimeout(ask, Math.min(SLOWEST_MS, PERIOD_MS * 2 ** Math.min(failures, 3)));
    showLive();
  }
}

function showReport(report) {
  for (const name of ["providers", "flows", "decisions", "limits", "budgets", "recent"]) report[name] = report[name] || [];
  $("node").textContent = report.node || "";
  $("version").textContent = report.version ? "ngx-llm " + report.version : "";
  document.title = (report.providers.some((one) => one.state === "benched") ? "▲ " : "") + "LLM gateway" + (report.node ? " · " + report.node : "");
  for (const part of [showFigures, showCharts, showProviders, showFlows, showLimits, showJournal, showBudgets, showRecent]) part(report);
  document.body.dataset.ready = "yes";
}

function showLive() {
  const age = updated ? Math.round((Date.now() - updated) / 1000) : null;
  const [state, text] = paused ? ["wait", "Paused"] : failures > 1 ? ["lost", "No connection"] : age === null ? ["wait", "Connecting"]
    : ["on", age < 4 ? "Live" : "Live, " + age + " s ago"];
  $("live").dataset.state = state;
  if ($("live-text").textContent !== text) $("live-text").textContent = text;
}

function pause() {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Go on" : "Pause";
  showLive();
  ask();
}

const THEMES = ["auto", "light", "dark"];
function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").textContent = "Theme: " + theme;
  redrawCharts();
}

function nextTheme() {
  const now = document.documentElement.dataset.theme || "auto";
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  // Private windows may have no storage.
  try { localStorage.setItem("llm-theme", next); } catch { /* The choice lasts until the page is left. */ }
  setTheme(next);
}

function onKey(event) {
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape" && event.target === $("needle")) {
    $("needle").value = "";
    applyFilter();
  }
  if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = {"/": () => $("needle").focus(), p: pause, t: nextTheme}[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function begin() {
  let theme = "auto";
  try { theme = localStorage.getItem("llm-theme") || "auto"; } catch { /* As the system. */ }
  setTheme(THEMES.includes(theme) ? theme : "auto");
  $("pause").addEventListener("click", pause);
  $("theme").addEventListener("click", nextTheme);
  $("csv").addEventListener("click", downloadCsv);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["needle", "kind", "provider"]) $(id).addEventListener("input", applyFilter);
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", ask);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
  new ResizeObserver(fitCharts).observe($("traffic"));
  setInterval(showLive, 1000);
  ask();
}

begin();
