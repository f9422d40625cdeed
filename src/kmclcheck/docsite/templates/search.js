"use strict";
(function () {
  const root = document.currentScript.dataset.root;
  const rows = window.siteIndex || [];
  const form = document.getElementById("search");
  const query = document.getElementById("query");
  const results = document.getElementById("results");
  const most = 30;

  // A name that begins with the words comes before one that has them somewhere, and that before a text.
  function score(row, words) {
    const title = row[0].toLowerCase();
    const rest = (row[3] + " " + row[4] + " " + row[2]).toLowerCase();
    let total = 0;
    for (const word of words) {
      if (title === word) total += 100;
      else if (title.startsWith(word)) total += 40;
      else if (title.includes(word)) total += 20;
      else if (rest.includes(word)) total += 4;
      else return 0;
    }
    return total;
  }

  function show() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.replaceChildren();
    results.hidden = words.length === 0;
    if (results.hidden) return;
    const found = rows
      .map((row, place) => [score(row, words), place, row])
      .filter((one) => one[0] > 0)
      .sort((a, b) => b[0] - a[0] || a[1] - b[1])
      .slice(0, most);
    for (const [, , row] of found) {
      const link = document.createElement("a");
      link.href = root + row[1];
      link.textContent = row[0];
      const small = document.createElement("small");
      small.textContent = row[3] ? row[2] + ": " + row[3] : row[2];
      link.append(small);
      const item = document.createElement("li");
      item.append(link);
      results.append(item);
    }
    if (found.length === 0) {
      const item = document.createElement("li");
      item.textContent = "Nothing found.";
      results.append(item);
    }
  }

  form.hidden = false;
  query.addEventListener("input", show);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = results.querySelector("a");
    if (first) first.click();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== query) {
      event.preventDefault();
      query.focus();
    } else if (event.key === "Escape") {
      results.hidden = true;
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && form.contains(document.activeElement)) {
      const links = [query, ...results.querySelectorAll("a")];
      const step = event.key === "ArrowDown" ? 1 : -1;
      const next = links[links.indexOf(document.activeElement) + step];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    }
  });
  document.addEventListener("click", (event) => {
    if (!form.contains(event.target)) results.hidden = true;
  });
})();
