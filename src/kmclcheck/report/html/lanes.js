/* The picture of a finding and the table beside it. */
/* ---- the picture: a row for each event, a lane for each object ---- */
function makeRows(one) {
  const f = one.f, rows = [], state = new Map();
  for (let i = 0; i < f.start.length; i += 2) state.set(T(f.start[i]), T(f.start[i + 1]));
  let last = null;
  for (const [n, marks, changes] of f.rows) {
    const at = event(n);
    if (last && typeof at.line === "number" && at.line - last.line > 1) rows.push({ gap: at.line - last.line - 1 });
    const before = new Map(state), changed = [];
    for (let i = 0; changes && i < changes.length; i += 3) {
      const name = T(changes[i]), was = changes[i + 1] < 0 ? undefined : T(changes[i + 1]);
      if (was !== undefined) before.set(name, was);
      state.set(name, T(changes[i + 2]) || "unset");
      changed.push(name);
    }
    rows.push({ event: at, marks, before, after: new Map(state), changed });
    last = at;
  }
  if (!one.at) rows.push({ event: null, marks: FAULT, before: new Map(state), after: new Map(state), changed: [] });
  return rows;
}
function makeBars(rows) {
  const open = new Map(), bars = [], dots = [];
  rows.forEach((row, at) => {
    const e = row.event;
    if (!e) return;
    const stack = open.get(e.thread) || [];
    open.set(e.thread, stack);
    if (e.exit) {
      let top = stack.length - 1;
      while (top >= 0 && stack[top].name !== e.name) top -= 1;
      if (top >= 0) {
        const bar = stack[top];
        stack.splice(top);
        bar.to = at;
        bar.ended = true;
        if (e.objects.length > bar.objects.length) bar.objects = e.objects;
        return;
      }
      bars.push({ name: e.name, from: at, to: at, ended: true, half: true, objects: e.objects, callback: e.phase === "out", row });
      return;
    }
    const bar = { name: e.name, from: at, to: rows.length - 1, ended: false, objects: e.objects, callback: e.phase === "in", row };
    bars.push(bar);
    if (e.phase === "whole") Object.assign(bar, { to: at, ended: true });
    else stack.push(bar);
  });
  const fault = rows.find((row) => row.marks & FAULT), home = fault && fault.event ? fault.event.thread : null;
  for (const bar of bars) {
    /* Whether a call goes on whose return was left out is certain only on the thread of the fault. */
    if (!bar.ended && bar.row.event.thread !== home) Object.assign(bar, { to: Math.min(bar.from + 1, bar.to), cut: true });
    bar.keys = bar.objects.map((n) => object(n));
    for (const other of bar.keys.slice(0, -1)) dots.push({ bar, key: other.key });
  }
  return { bars, dots };
}
function makeLanes(one, bars) {
  const lanes = new Map([[one.object.key, { object: one.object, own: true, slots: [], first: -1 }]]);
  if (one.f.p >= 0) lanes.set(object(one.f.p).key, { object: object(one.f.p), slots: [], first: -2 });
  const rest = { object: { kind: "other", handle: "", text: "no object, or other objects" }, slots: [], first: 1e9 };
  for (const bar of bars) {
    for (const about of bar.keys) {
      if (!lanes.has(about.key) && lanes.size < LANES) lanes.set(about.key, { object: about, slots: [], first: bar.from });
    }
    const inner = bar.keys.length ? bar.keys[bar.keys.length - 1].key : "";
    if (!lanes.has(inner)) lanes.set(inner, rest);
    bar.lane = lanes.get(inner);
    let slot = 0;
    while (slot < 5 && bar.lane.slots[slot] !== undefined && bar.lane.slots[slot] >= bar.from) slot += 1;
    bar.lane.slots[slot] = Math.max(bar.to, bar.lane.slots[slot] || 0);
    bar.slot = slot;
  }
  const order = [...new Set(lanes.values())].sort((a, b) => a.first - b.first);
  let x = 0;
  for (const lane of order) {
    lane.x = x;
    lane.bars = x + (lane.own ? STATE : 10);
    lane.width = Math.max(lane.own ? 112 : 66, lane.bars - x + lane.slots.length * SLOT + 8);
    x += lane.width;
  }
  return { lanes, order, width: x };
}
function stateClass(kind, value) {
  const known = data.kinds[kind];
  const at = known ? known[1].indexOf(value) : -1;
  if (at < 0) return null;
  return known[2].includes(value) ? "s0" : "s" + (1 + (at % 7));
}
function makePicture(one, rows) {
  const { bars, dots } = makeBars(rows), { lanes, order, width } = makeLanes(one, bars);
  const height = rows.length * ROW;
  const head = draw("svg", { width, height: HEAD, "aria-hidden": "true" });
  const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Calls on ${plural(order.length, "object")}, from top to bottom; the table beside it says the same in words` });
  const middle = (at) => at * ROW + ROW / 2;
  const hatch = draw("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  hatch.append(draw("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 6 }));
  svg.append(hatch);
  const pick = draw("rect", { class: "pick-row", x: 0, y: -ROW, width, height: ROW });
  svg.append(pick);
  rows.forEach((row, at) => {
    if (row.marks & FAULT) svg.append(draw("rect", { class: "fault-row", x: 0, y: at * ROW, width, height: ROW }));
  });
  for (const lane of order) {
    const edge = lane.x + lane.width - 0.5;
    svg.append(draw("line", { class: "lane-line", x1: edge, y1: 0, x2: edge, y2: height }));
    head.append(draw("line", { class: "lane-line", x1: edge, y1: 6, x2: edge, y2: HEAD }));
    const title = draw("text", { class: "lane-title" + (lane.own ? "" : " other"), x: lane.x + 8, y: 19 }, lane.object.kind.slice(0, lane.own ? 16 : 9));
    title.append(draw("title", {}, lane.object.text));
    const handle = lane.object.handle;
    head.append(title, draw("text", { class: "lane-sub", x: lane.x + 8, y: 35 }, lane.own || handle.length < 9 ? handle.slice(0, 18) : "\u2026" + handle.slice(-6)));
  }
  const own = lanes.get(one.object.key), main = data.kinds[one.object.kind];
  if (main) drawState(svg, rows, own, one.object.kind, main[0], middle, height);
  for (const dot of dots) {
    const lane = lanes.get(dot.key), y = middle(dot.bar.from);
    if (!lane || lane === dot.bar.lane) continue;
    const x = lane.bars + 5;
    svg.append(draw("line", { class: "link", x1: x, y1: y, x2: dot.bar.lane.bars + dot.bar.slot * SLOT, y2: y }), draw("circle", { class: "dot", cx: x, cy: y, r: 3.5 }));
  }
  for (const bar of bars) {
    const x = bar.lane.bars + bar.slot * SLOT, dim = bar.row.marks & (IN_SLICE | FAULT) ? "" : " dim";
    let from = middle(bar.from) - 7, to = middle(bar.to) + 7;
    if (bar.half) from -= 6;
    if (!bar.ended && !bar.cut) to = height - 4;
    const made = draw("rect", { class: (bar.callback ? "callback" : "call") + dim + (bar.ended ? "" : " unended"), x, y: from, width: 10, height: Math.max(8, to - from), rx: 3 });
    made.append(draw("title", {}, bar.name + (bar.ended ? "" : " (no return among these events)")));
    svg.append(made);
  }
  rows.forEach((row, at) => {
    if (!(row.marks & FAULT)) return;
    const bar = bars.find((b) => b.from === at || b.to === at);
    const x = bar ? bar.lane.bars + bar.slot * SLOT + 5 : own.bars + 5, y = middle(at);
    svg.append(draw("path", { class: "cross", d: `M${x - 6} ${y - 6}l12 12m0 -12l-12 12` }));
  });
  return { svg, head, pick };
}
function drawState(svg, rows, lane, kind, field, middle, height) {
  let from = 0, value = rows.length && rows[0].before ? rows[0].before.get(field) : undefined, first = true;
  function band(to) {
    if (value === undefined || to <= from) return;
    const cls = stateClass(kind, value);
    const fill = cls ? { class: cls } : { fill: "url(#hatch)" };
    const strip = draw("rect", { ...fill, x: lane.x + 4, y: from, width: 8, height: to - from });
    strip.append(draw("title", {}, `${field}: ${value}`));
    svg.append(draw("rect", { ...fill, x: lane.x, y: from, width: lane.width, height: to - from, opacity: 0.13 }), strip);
    if (to - from >= 14) svg.append(draw("text", { class: "state-name", x: lane.x + 16, y: Math.min(from + 17, to - 3) }, value.slice(0, 9)));
  }
  rows.forEach((row, at) => {
    if (!row.after) return;
    const next = row.after.get(field);
    if (next === value && !first) return;
    first = false;
    if (next === value) return;
    band(middle(at));
    from = middle(at);
    value = next;
  });
  band(height);
}
function legend(one) {
  const box = el("p", { class: "legend", "aria-hidden": "true" });
  const entry = (cls, text) => {
    const svg = draw("svg", { width: 10, height: 10 });
    svg.append(draw("rect", { class: cls, width: 10, height: 10, rx: 2 }));
    box.append(el("span", {}, svg, text));
  };
  entry("call", "call");
  entry("callback", "callback");
  entry("call dim", "not needed to reproduce the fault");
  const main = data.kinds[one.object.kind];
  const seen = new Set(board.rows.flatMap((row) => (row.after && main ? [row.before.get(main[0]), row.after.get(main[0])] : [])));
  for (const value of seen) {
    const cls = value === undefined ? null : stateClass(one.object.kind, value);
    if (cls) entry(cls, value);
  }
  return box;
}
function change(one, row) {
  const main = data.kinds[one.object.kind], parts = [];
  for (const name of row.changed) {
    const was = row.before.get(name), now = row.after.get(name), prefix = main && name === main[0] ? "" : name + ": ";
    if (was !== undefined) parts.push(`${prefix}${was} \u2192 ${now}`);
    else if (!prefix) parts.push(now);
  }
  return parts.join(", ");
}
function makeBoard(one) {
  const rows = makeRows(one), picture = makePicture(one, rows);
  const body = el("tbody", {}), card = el("aside", { class: "card", "aria-label": "Event", "aria-live": "polite" });
  const table = el("table", { role: "grid", tabindex: "0", "aria-label": "Events of this finding", "aria-keyshortcuts": "ArrowUp ArrowDown", "aria-readonly": "true" },
    el("thead", {}, el("tr", {}, ...["Record", "Time", "Thread", "Event", "State"].map((text, n) => el("th", { scope: "col", class: n < 2 ? "num" : null }, text)))), body);
  const lines = [], picks = [];
  rows.forEach((row, at) => {
    if (row.gap) {
      body.append(el("tr", { class: "gap" }, ...["\u22ee", "", "", `${plural(row.gap, "record")} left out`, ""].map((text, n) => el("td", { role: "gridcell", class: n < 2 ? "num" : null }, text))));
      return;
    }
    const e = row.event, fault = row.marks & FAULT;
    const what = fault ? (T(one.f.q) ? `\u2715 requires ${T(one.f.q)}` : "\u2715 the fault") : change(one, row);
    const cells = e ? [e.line, timeText(e.time), e.thread, e.label] : ["end", "", "", "end of trace"];
    const tr = el("tr", { id: "event-" + at, "aria-selected": "false", class: fault ? "fault" : row.marks & IN_SLICE ? null : "aside" },
      ...cells.map((text, n) => el("td", { role: "gridcell", class: n < 2 ? "num" : n === 3 ? "mono" : null, title: n === 3 ? text : null }, String(text))),
      el("td", { role: "gridcell", title: what }, what));
    tr.addEventListener("click", () => made.pick(at));
    tr.addEventListener("pointerenter", () => made.show(at));
    body.append(tr);
    lines[at] = tr;
    picks.push(at);
  });
  const made = {
    rows, card, current: -1, fault: picks.length ? picks[picks.length - 1] : -1,
    element: el("div", { class: "board" }, el("div", { class: "lanes" }, el("div", { class: "head" }, picture.head), picture.svg), table),
    show(at) {
      if (at < 0 || !rows[at] || rows[at].gap) return;
      picture.pick.setAttribute("y", at * ROW);
      fillCard(card, one, rows[at]);
    },
    pick(at, follow) {
      if (at < 0) return;
      if (lines[made.current]) lines[made.current].setAttribute("aria-selected", "false");
      made.current = at;
      lines[at].setAttribute("aria-selected", "true");
      table.setAttribute("aria-activedescendant", "event-" + at);
      made.show(at);
      if (follow) lines[at].scrollIntoView({ block: "nearest" });
    },
    move(by) {
      const at = picks.indexOf(made.current) + by;
      made.pick(picks[Math.max(0, Math.min(picks.length - 1, at))], true);
    },
    /* Scrolls the board alone, so that the head of the finding stays in view. */
    reveal() {
      if (made.fault >= 0) made.element.scrollTop = Math.max(0, HEAD + (made.fault + 2) * ROW - made.element.clientHeight);
    },
    end(last) { made.pick(picks[last ? picks.length - 1 : 0], true); },
  };
  rows.forEach((row, at) => { if (row.marks & FAULT) made.fault = at; });
  made.element.addEventListener("pointerleave", () => made.show(made.current));
  const under = (e) => Math.floor((e.clientY - picture.svg.getBoundingClientRect().top) / ROW);
  picture.svg.addEventListener("pointermove", (e) => made.show(under(e)));
  picture.svg.addEventListener("click", (e) => { const at = under(e); if (lines[at]) made.pick(at); });
  return made;
}
function fillCard(card, one, row) {
  const e = row.event, pairs = [];
  if (e) {
    const known = (value) => (value === null ? "" : value);
    pairs.push(["Record", e.line], ["Time", timeText(e.time)], ["Thread", e.thread], ["CPU", known(e.cpu)], ["IRQL", e.irql === null ? "not recorded" : e.irql], ["Status", e.status], ["Sequence", known(e.seq)], ["Byte offset", known(e.offset)]);
  }
  const args = [];
  for (let i = 0; e && i < e.args.length; i += 2) args.push([T(e.args[i]), T(e.args[i + 1])]);
  card.replaceChildren(el("h3", { class: "mono" }, e ? e.label : "end of trace"));
  if (row.marks & FAULT) card.append(el("p", { class: "required" }, T(one.f.q) ? `\u2715 requires ${T(one.f.q)}` : "\u2715 the fault"));
  if (e && !(row.marks & (IN_SLICE | FAULT))) card.append(el("p", { class: "muted" }, "Not needed to reproduce the fault."));
  card.append(facts(pairs));
  if (args.length) card.append(el("h4", {}, "Arguments"), facts(args));
  const main = data.kinds[one.object.kind], names = [...new Set([...(main ? [main[0]] : []), ...row.changed])];
  const line = (name) => el("tr", { class: row.before.get(name) !== row.after.get(name) ? "changed" : null },
    el("td", {}, name), el("td", {}, row.before.get(name) || "-"), el("td", {}, row.after.get(name) || "-"));
  const head = () => el("thead", {}, el("tr", {}, ...["field", "before", "after"].map((text) => el("th", { scope: "col" }, text))));
  const states = names.filter((name) => row.before.has(name) || row.after.has(name));
  card.append(el("h4", {}, `State of ${one.object.text}`));
  if (states.length) card.append(el("table", { class: "state" }, head(), el("tbody", {}, ...states.map(line))));
  else card.append(el("p", { class: "muted" }, "not known"));
  const others = [...row.after.keys()].filter((name) => !states.includes(name));
  if (others.length) card.append(el("details", {}, el("summary", {}, plural(others.length, "other field")), el("table", { class: "state" }, head(), el("tbody", {}, ...others.map(line)))));
}
