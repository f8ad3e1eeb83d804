// Fallbacks, limits, journal and budgets.

function bar(share, level) {
  const fill = make("i" + (level ? "." + level : ""), null);
  fill.style.width = Math.max(0, Math.min(1, share)) * 100 + "%";
  return fill;
}

function bars(rows) {
  const most = Math.max(...rows.map((row) => row.count), 1);
  return make("ul.bars", null, ...rows.map((row) => make("li", null,
    make("span", null, ...row.name), make("span.n", null, whole(row.count)),
    make("div.track", {"aria-hidden": "true"}, bar(row.count / most, row.level)))));
}

function showFlows(report) {
  const flows = report.flows.filter((flow) => flow.count > 0).sort((a, b) => b.count - a.count);
  show("flows", flows, () => !flows.length ? nothing("No request had to move.") : [bars(flows.map((flow) => ({
    name: [make("b", null, flow.from), make("span.arrow", {"aria-label": "to"}, " → "), make("b", null, flow.to)],
    count: flow.count, level: "warn",
  })))]);
}

function showLimits(report) {
  const levels = {allow: "good", deny: "bad", would_deny: "warn"};
  const decisions = report.decisions.filter((one) => one.count > 0);
  show("decisions", decisions, () => !decisions.length ? nothing("No limit was asked.") : [bars(decisions.map((one) => ({
    name: [one.decision.replace("_", " ") + (one.reason && one.reason !== "none" ? ": " + one.reason.replaceAll("_", " ") : "")],
    count: one.count, level: levels[one.decision],
  })))]);
  show("limits", report.limits, () => !report.limits.length ? [] : [
    make("h3", null, "Rules"),
    make("ul.bars", null, ...report.limits.map((limit) => {
      if (limit.most_used === null) {
        return make("li", null, make("span", null, limit.rule), make("span.n", null, short(limit.limit)));
      }
      const share = limit.limit ? limit.most_used / limit.limit : 0;
      return make("li", null, make("span", {title: limit.active + " active"}, limit.rule),
        make("span.n", null, short(limit.most_used) + " / " + short(limit.limit)),
        make("div.track", {"aria-hidden": "true"}, bar(share, share >= 1 ? "bad" : share >= 0.8 ? "warn" : "")));
    }))]);
}

function showJournal(report) {
  show("journal", report.journal, (journal) => {
    if (!journal) return nothing("Costs are not recorded.");
    const facts = [
      ["Waiting", short(journal.events) + (journal.events === 1 ? " event" : " events"), ""],
      ["Oldest", journal.events ? span(journal.oldest_seconds) : "–", journal.oldest_seconds > 300 ? "bad" : ""],
      ["Size", bytes(journal.bytes) + (journal.max_bytes ? " of " + bytes(journal.max_bytes) : ""), ""],
      ["Written", short(journal.written), ""],
      ["Dropped", whole(journal.dropped), journal.dropped ? "bad" : ""],
      ["Dead letters", whole(journal.dead_letter), journal.dead_letter ? "bad" : ""],
    ];
    return [make("dl.facts", null, ...facts.map(([name, value, level]) =>
      make(level ? "div." + level : "div", null, make("dt", null, name), make("dd", null, value))))];
  });
}

function showBudgets(report) {
  show("budgets", report.budgets, (budgets) => !budgets.length ? nothing("No budget is set.") : budgets.map((budget) => {
    const [limit, spent, reserved] = [budget.limit, budget.spent, budget.reserved].map(Number);
    const share = limit > 0 ? spent / limit : 1;
    const level = share >= 1 ? "bad" : share >= 0.8 ? "warn" : "";
    const track = make("div.track", {role: "img", "aria-label": percent(share) + " of the budget is spent"},
      bar(limit > 0 ? (spent + reserved) / limit : 1, "reserved"), bar(share, level));
    const projected = known(budget.projected) ? Number(budget.projected) : null;
    if (projected !== null && limit > 0) {
      const mark = make("em", {title: "Projected"});
      mark.style.left = "calc(" + Math.min(1, projected / limit) * 100 + "% - 2px)";
      track.append(mark);
    }
    const over = projected !== null && projected > limit;
    const foot = [projected === null ? "" : "projected " + money(budget.projected, budget.unit), budget.resets_at ? "until " + stamp(budget.resets_at) : "no end"];
    return make("div.budget", null,
      make("p", null, make("span", null, make("b", null, budget.id), make("span.dim", null, budget.scope + ", " + budget.window + (budget.soft ? ", soft" : ""))),
        level || over ? make("span.badge." + (level || "warn"), null, share >= 1 ? "Spent" : over ? "Will not last" : percent(share)) : make("span", null, percent(share))),
      track,
      make("p", null, make("span", null, money(budget.spent) + " of " + money(budget.limit, budget.unit)),
        reserved > 0 ? make("span.dim", null, money(budget.reserved) + " reserved") : null),
      make("p.foot", null, ...foot.map((text) => make("span", null, text))));
  }));
}
