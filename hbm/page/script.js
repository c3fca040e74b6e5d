"use strict";
// Search, sorting, filter and the picture. All that is shown is in the document already.
(() => {
  const byId = (id) => document.getElementById(id);
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const table = byId("table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const linkOf = (row) => row.cells[0].querySelector("a");
  const hashOf = (link) => link.getAttribute("href");
  // A name, a code and what else is text in a row of a table or of a list.
  const textsOf = (row) => [...row.querySelectorAll("a, .code, .text")].map((x) => x.textContent);

  // What can be found: groups, those without results in the last year, and what groups stand in.
  const found = rows.map((row) => ({ link: linkOf(row), texts: textsOf(row) }));
  for (const item of document.querySelectorAll("#without li, .parents tbody th")) {
    const parents = item.closest(".parents");
    const kind = parents ? [parents.tHead.rows[0].cells[0].textContent] : [];
    found.push({ link: item.querySelector("a"), texts: [...textsOf(item), ...kind] });
  }
  for (const each of found) {
    each.name = each.link.textContent;
    each.plain = plain(each.texts.join(" \n"));
    each.begins = plain(each.name);
  }

  function matches(text, most) {
    const words = plain(text).split(/\s+/).filter(Boolean);
    const there = found.filter((each) => words.every((word) => each.plain.includes(word)));
    const start = words.join(" ");
    const rank = (each) =>
      each.texts.some((one) => plain(one) === start) ? 0 : each.begins.startsWith(start) ? 1 : 2;
    return [there.length, there.sort((a, b) => rank(a) - rank(b)).slice(0, most)];
  }

  function go(hash) {
    if (location.hash === hash) byId(hash.slice(1)).focus();
    else location.hash = hash;
  }

  // Search, as the pattern of a combobox with a list has it.
  const input = byId("find");
  const list = byId("found");
  const told = byId("told");
  let options = [];
  let active = -1;
  for (const box of document.querySelectorAll(".search")) box.hidden = false;

  function mark(at) {
    active = at;
    options.forEach((option, i) => option.element.setAttribute("aria-selected", i === at));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", options[at].element.id);
      options[at].element.scrollIntoView({ block: "nearest" });
    }
  }

  function close() {
    list.hidden = true;
    list.replaceChildren();
    options = [];
    input.setAttribute("aria-expanded", "false");
    mark(-1);
  }

  function suggest() {
    if (!input.value.trim()) {
      told.textContent = "";
      return close();
    }
    const [total, best] = matches(input.value, 12);
    close();
    told.textContent = total > best.length ? `${total} found, ${best.length} shown` : `${total} found`;
    options = best.map(({ link, name, texts }, i) => {
      const element = document.createElement("li");
      element.id = `option-${i}`;
      element.setAttribute("role", "option");
      element.append(name, " ");
      const more = element.appendChild(document.createElement("span"));
      more.textContent = texts.slice(1).join(", ");
      element.addEventListener("mousedown", (event) => event.preventDefault());
      element.addEventListener("click", () => pick(i));
      return { element, hash: hashOf(link) };
    });
    list.append(...options.map((option) => option.element));
    list.hidden = !options.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    mark(-1);
  }

  function pick(at) {
    const hash = options[at].hash;
    close();
    go(hash);
  }

  input.addEventListener("input", suggest);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const last = options.length - 1;
    if (event.key === "ArrowDown" && last < 0) suggest();
    else if (event.key === "ArrowDown") mark(active >= last ? 0 : active + 1);
    else if (event.key === "ArrowUp" && last >= 0) mark(active <= 0 ? last : active - 1);
    else if (event.key === "Enter" && last >= 0) pick(Math.max(active, 0));
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });

  // Sorting: by the number that a cell begins with, or by its text.
  const heads = [...table.tHead.rows[0].cells];
  const keys = (column) =>
    rows.map((row) => {
      const text = row.cells[column].textContent;
      if (heads[column].classList.contains("text")) return text;
      return parseFloat(text.replace("\u2212", "-").replaceAll(",", ""));
    });

  function sort(column, down) {
    const key = new Map(keys(column).map((value, i) => [rows[i], value]));
    const known = (value) => typeof value === "string" || !Number.isNaN(value);
    const side = down ? -1 : 1;
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    const order = [...rows].sort((a, b) => {
      const [x, y] = [key.get(a), key.get(b)];
      if (!known(x) || !known(y)) return known(y) - known(x);
      return side * (typeof x === "string" ? compare(x, y) : x - y);
    });
    body.append(...order);
    heads.forEach((head, i) =>
      head.setAttribute("aria-sort", i !== column ? "none" : down ? "descending" : "ascending"));
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", column ? "none" : "ascending");
    button.addEventListener("click", () =>
      sort(column, head.getAttribute("aria-sort") === "ascending"));
  });

  const filter = byId("filter");
  const plainOf = new Map(found.slice(0, rows.length).map((each, i) => [rows[i], each.plain]));
  filter.addEventListener("input", () => {
    const words = plain(filter.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => plainOf.get(row).includes(word));
      shown += !row.hidden;
    }
    byId("shown").textContent = words.length ? `${shown} of ${rows.length} shown` : "";
  });

  // The picture: the mark under the pointer, or in focus, is named; a click or Enter chooses it.
  const picture = byId("field");
  const marks = [...picture.querySelectorAll(".mark")];
  const named = byId("named");
  const where = marks.map((each) => Number(each.querySelector(".dot").getAttribute("cx")));
  let near = null;
  let target = null;
  if (marks.length) marks[0].setAttribute("tabindex", "0");

  function name(each) {
    if (near) near.classList.remove("near");
    near = each;
    if (near) near.classList.add("near");
    const shown = near || target;
    named.textContent = shown ? shown.querySelector("title").textContent : "";
  }

  function nearest(event) {
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) * picture.viewBox.baseVal.width) / box.width;
    let best = 0;
    for (let i = 1; i < where.length; i++) {
      if (Math.abs(where[i] - x) < Math.abs(where[best] - x)) best = i;
    }
    return marks[best];
  }

  picture.addEventListener("pointermove", (event) => name(nearest(event)));
  picture.addEventListener("pointerleave", () => name(null));
  picture.addEventListener("click", (event) => {
    event.preventDefault();
    // A click of the keyboard is at no place.
    go(hashOf(event.detail ? nearest(event) : event.target.closest(".mark")));
  });
  marks.forEach((each, i) => {
    each.addEventListener("focus", () => name(each));
    each.addEventListener("blur", () => name(null));
    each.addEventListener("keydown", (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: marks.length - 1 }[event.key];
      if (to === undefined || !marks[to]) return;
      event.preventDefault();
      each.setAttribute("tabindex", "-1");
      marks[to].setAttribute("tabindex", "0");
      marks[to].focus();
    });
  });

  // What is chosen stays marked in the picture, over the others and by its name, and in the table.
  const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const over = svg("g");
  over.setAttribute("class", "over");
  over.setAttribute("aria-hidden", "true");
  picture.append(over);

  function label(each) {
    const shown = over.appendChild(svg("text"));
    const dot = each.querySelector(".dot");
    const x = Number(dot.getAttribute("cx"));
    const right = x > picture.viewBox.baseVal.width / 2;
    shown.setAttribute("x", right ? x - 12 : x + 12);
    shown.setAttribute("y", Number(dot.getAttribute("cy")) - 10);
    shown.setAttribute("text-anchor", right ? "end" : "start");
    const full = found.find(({ link }) => hashOf(link) === hashOf(each)).name;
    shown.textContent = full.length > 40 ? `${full.slice(0, 39)}…` : full;
  }

  function chosen() {
    if (target) {
      target.classList.remove("chosen");
      target.removeAttribute("aria-current");
    }
    target = marks.find((each) => hashOf(each) === location.hash) || null;
    over.replaceChildren();
    if (target) {
      target.classList.add("chosen");
      target.setAttribute("aria-current", "true");
      for (const part of target.querySelectorAll("path, circle")) over.append(part.cloneNode());
      label(target);
    }
    for (const row of rows) {
      if (hashOf(linkOf(row)) === location.hash) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    name(near);
  }

  addEventListener("hashchange", chosen);
  if (location.hash) chosen();
})();
