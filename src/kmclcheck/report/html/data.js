"use strict";
/* The data of the page, and small tools. The three scripts make one, in the order data, lanes, report. */
const data = JSON.parse(document.getElementById("data").textContent);
const T = (n) => (n < 0 || n === undefined ? "" : data.texts[n]);
const byId = (id) => document.getElementById(id);
const ROW = 26, HEAD = 46, SLOT = 13, STATE = 76, LANES = 8;
const IN_SLICE = 1, IN_HISTORY = 2, FAULT = 4;
const SVG = "http://www.w3.org/2000/svg";

/* Everything from the trace goes in as text, never as markup. */
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}
function draw(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
function timeText(ns) {
  if (ns === null) return "";
  if (typeof ns === "string") return ns + " ns";
  const size = Math.abs(ns), sign = ns < 0 ? "-" : "+";
  for (const [unit, scale] of [["s", 1e9], ["ms", 1e6], ["us", 1e3]]) {
    if (size >= scale) {
      const part = Math.floor(((size % scale) * 1000) / scale);
      return `${sign}${Math.floor(size / scale)}.${String(part).padStart(3, "0")} ${unit}`;
    }
  }
  return `${sign}${size} ns`;
}

/* ---- what the numbers stand for ---- */
function event(n) {
  if (n < 0) return null;
  const [line, time, seq, cpu, thread, irql, name, phase, status, objects, args, offset] = data.events[n];
  const exit = phase === "ret" || phase === "out";
  const label = T(name) + (exit ? "." + phase : "") + (status < 0 ? "" : " = " + T(status));
  return { line, time, seq, cpu, thread: T(thread), irql, name: T(name), phase, exit, status: T(status), objects, args, offset, label };
}
function object(n) {
  const [kind, handle, incarnation, endpoint] = data.objects[n];
  const text = `${T(kind)} ${handle}` + (incarnation > 1 ? ` (incarnation ${incarnation})` : "") + (endpoint < 0 ? "" : " on " + T(endpoint));
  return { kind: T(kind), handle, text, key: `${T(kind)} ${handle} ${T(endpoint)}` };
}
const rule = (f) => {
  const [id, severity, party, statement, consequence, fix, sources] = data.rules[f.r];
  return { id, severity, party, statement: T(statement), consequence: T(consequence), fix: T(fix), sources: T(sources) };
};
const findings = data.findings.map((f) => {
  const own = rule(f), at = event(f.e), about = object(f.o);
  const place = at ? `${data.traces[f.t][0]}:${at.line}` : `${data.traces[f.t][0]} (end of trace)`;
  const thread = at ? at.thread : "";
  const search = [T(f.m), own.id, own.severity, own.party, about.text, place, thread, at ? at.name : ""].join("\n").toLowerCase();
  return { f, rule: own, at, object: about, place, thread, search };
});
