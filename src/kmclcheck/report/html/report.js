/* ---- the list and its filters ---- */
const list = byId("list"), filter = byId("filter");
const selects = { rule: byId("by-rule"), object: byId("by-object"), thread: byId("by-thread"), trace: byId("by-trace") };
const facets = {
  rule: (one) => one.rule.id, object: (one) => one.object.text, thread: (one) => one.thread,
  trace: (one) => data.traces[one.f.t][0],
};
let shown = [], chosen = null, buttons = new Map();

function fillSelects() {
  for (const [name, select] of Object.entries(selects)) {
    const counts = new Map();
    for (const one of findings) {
      const value = facets[name](one);
      if (value) counts.set(value, (counts.get(value) || 0) + 1);
    }
    select.append(el("option", { value: "" }, `every ${name}`));
    for (const [value, count] of [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
      select.append(el("option", { value }, `${value} (${count})`));
    }
    select.hidden = counts.size < 2;
    select.addEventListener("change", refilter);
  }
}
function entry(one) {
  const button = el("button", { type: "button", tabindex: "-1" },
    el("span", { class: "msg" }, el("span", { class: "sev " + one.rule.severity }, one.rule.severity), " ", T(one.f.m)),
    el("span", { class: "sub" }, one.rule.id),
    el("span", { class: "sub" }, `${one.object.text} \u00b7 ${one.at ? "record " + one.at.line : "end of trace"}`));
  button.addEventListener("click", () => choose(one));
  return el("li", {}, button);
}
function refilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = findings.filter((one) => words.every((word) => one.search.includes(word))
    && Object.entries(selects).every(([name, select]) => !select.value || facets[name](one) === select.value));
  for (const one of findings) buttons.get(one).parentNode.hidden = true;
  for (const one of shown) buttons.get(one).parentNode.hidden = false;
  byId("count").textContent = shown.length === findings.length
    ? plural(findings.length, "finding") : `${shown.length} of ${plural(findings.length, "finding")}`;
  if (shown.length && !shown.includes(chosen)) choose(shown[0]);
}
function step(by) {
  if (!shown.length) return;
  const at = shown.indexOf(chosen);
  choose(shown[Math.max(0, Math.min(shown.length - 1, at < 0 ? 0 : at + by))]);
  const button = buttons.get(chosen);
  if (list.contains(document.activeElement)) button.focus();
  button.scrollIntoView({ block: "nearest" });
}
function choose(one) {
  if (chosen) {
    buttons.get(chosen).removeAttribute("aria-current");
    buttons.get(chosen).tabIndex = -1;
  }
  chosen = one;
  const button = buttons.get(one);
  button.setAttribute("aria-current", "true");
  button.tabIndex = 0;
  showFinding(one);
  try { history.replaceState(null, "", "#" + one.f.id); } catch { /* a frame may forbid it */ }
}

/* ---- a finding ---- */
let board = null;
function facts(pairs) {
  const made = el("dl", { class: "facts" });
  for (const [name, value] of pairs) if (value !== "" && value !== null) made.append(el("dt", {}, name), el("dd", {}, String(value)));
  return made;
}
function showFinding(one) {
  const f = one.f, own = one.rule, hung = event(f.hung);
  const parent = f.p < 0 ? "" : " of " + object(f.p).text;
  const cut = f.slice && `${f.slice[0].toLocaleString("en")} of ${f.slice[2].toLocaleString("en")} events `
    + (f.slice[1] ? "reproduce this (replayed)" : "concern this (not replayed)");
  board = makeBoard(one);
  const article = byId("finding");
  article.replaceChildren(
    el("h2", {}, el("span", { class: "sev " + own.severity }, own.severity), " ", T(f.m)),
    el("p", { class: "where" }, el("code", {}, own.id), ` \u00b7 ${one.object.text}${parent} \u00b7 ${one.place}`
      + (one.at && one.at.time !== null ? ` \u00b7 ${timeText(one.at.time)}` : "") + (one.thread ? ` \u00b7 thread ${one.thread}` : "")),
    facts([
      ["Required", T(f.q)], ["Rule", own.statement], ["Kept by", `the ${own.party}`], ["Consequence", own.consequence],
      ["Fix", own.fix], ["Here", T(f.fix)], ["Sources", own.sources], ["Also broken", f.also.map(T).join(", ")],
      ["Held by", f.held.map(T).join(", ")],
      ["Never returned", hung ? `${hung.name}, called at record ${hung.line}` : ""],
      ["Repeated", f.n ? `${plural(f.n, "time")} on this object, not shown` : ""],
      ["Evidence", [cut || "", ...f.notes.map(T)].filter(Boolean).join("; ")],
    ]),
    el("div", { class: "story" }, el("div", {}, board.element, legend(one)), board.card));
  article.scrollTop = 0;
  board.pick(board.fault);
  board.reveal();
  mark(f);
}
function mark(f) {
  for (const old of document.querySelectorAll(".strip .here")) old.remove();
  const picture = document.querySelector(`.strip svg[data-trace="${Number(f.t)}"]`);
  if (!picture || f.at === null) return;
  const box = picture.closest(".stripbox");
  box.scrollTop = picture.parentNode.offsetTop - box.offsetTop;
  const wide = Math.max(1, Number(picture.dataset.width) / 100);
  picture.append(draw("rect", { class: "here", x: f.at + 0.5 - wide / 2, y: 0, width: wide, height: 44 }));
}

/* ---- keys, verdicts, theme ---- */
document.addEventListener("keydown", (e) => {
  const typing = e.target.matches("input, select, textarea");
  if (e.ctrlKey || e.altKey || e.metaKey) return;
  if (typing) {
    if (e.key === "Escape") { filter.value = ""; refilter(); e.target.blur(); }
    return;
  }
  const keys = {
    j: () => step(1), k: () => step(-1), "/": () => { filter.focus(); filter.select(); },
    ArrowDown: () => board && board.move(1), ArrowRight: () => board && board.move(1),
    ArrowUp: () => board && board.move(-1), ArrowLeft: () => board && board.move(-1),
    Home: () => board && board.end(false), End: () => board && board.end(true),
  };
  if (Object.hasOwn(keys, e.key)) { keys[e.key](); e.preventDefault(); }
});

function verdictTable() {
  const table = byId("verdicts"), kind = byId("verdict-kind"), trace = byId("verdict-trace");
  const rows = [...table.tBodies[0].rows], all = rows.map((row) => [row.dataset.kind, ...[2, 3, 4].map((n) => row.cells[n].textContent)]);
  const place = new Map(data.verdicts.map((id, n) => [id, n]));
  if (trace) {
    trace.append(el("option", { value: "" }, "all traces"));
    data.traces.forEach(([path], n) => trace.append(el("option", { value: n }, path)));
  }
  function refill() {
    const given = trace && trace.value !== "" ? data.traces[Number(trace.value)][1] : null;
    rows.forEach((row, at) => {
      const n = place.get(row.cells[0].firstChild.textContent);
      let [verdict, decided, open, reason] = all[at];
      if (given) [verdict, decided, open, reason] = given[n] ? [given[n][0], given[n][1], given[n][2], T(given[n][3])] : ["", "", "", "not judged"];
      const badge = el("span", { class: "verdict " + verdict }, verdict.replace("-", " "));
      row.cells[1].replaceChildren(badge);
      [decided, open, reason].forEach((value, cell) => { row.cells[cell + 2].textContent = typeof value === "number" ? value.toLocaleString("en") : value; });
      row.hidden = Boolean(kind.value) && kind.value !== verdict;
    });
  }
  kind.addEventListener("change", refill);
  if (trace) trace.addEventListener("change", refill);
}
function themes() {
  const button = byId("theme"), names = ["system", "light", "dark"];
  let theme = "system";
  try { theme = localStorage.getItem("kmclcheck-theme") || theme; } catch { /* storage may be forbidden */ }
  function apply() {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = "Theme: " + theme;
    try { localStorage.setItem("kmclcheck-theme", theme); } catch { /* as above */ }
  }
  button.addEventListener("click", () => {
    theme = names[(names.indexOf(theme) + 1) % names.length];
    apply();
  });
  if (!names.includes(theme)) theme = "system";
  apply();
}

document.documentElement.classList.add("js");
themes();
verdictTable();
fillSelects();
filter.addEventListener("input", refilter);
for (const one of findings) {
  const item = entry(one);
  buttons.set(one, item.firstChild);
  list.append(item);
}
const wanted = findings.find((one) => "#" + one.f.id === location.hash);
if (wanted) choose(wanted);
refilter();
if (!findings.length) {
  byId("app").classList.add("none");
  byId("app").querySelector(".side").hidden = true;
  byId("finding").append(el("p", {}, "No finding. What was looked at stands in the table of rules."));
}
