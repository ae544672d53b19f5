"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const make = (tag, style, text) => {
    const found = document.createElement(tag);
    if (style) found.className = style;
    if (text !== undefined) found.textContent = text; // never markup: names may be a stranger's
    return found;
  };

  // A box beside a place in a figure, inside the window: at the right if there is room, else at the left.
  const showTip = (figure, x, y, content) => {
    const tip = figure.querySelector(".tip");
    tip.replaceChildren(...content);
    tip.hidden = false;
    const start = figure.getBoundingClientRect().left, width = tip.offsetWidth, window = document.documentElement.clientWidth;
    const right = x + 14, left = right + start + width > window - 8 ? x - 14 - width : right;
    tip.style.left = `${Math.max(8 - start, Math.min(left, window - 8 - width - start))}px`;
    tip.style.top = `${Math.max(0, y - tip.offsetHeight / 2)}px`;
  };
  const places = (svg) => {
    const box = svg.getBoundingClientRect(), around = svg.parentElement.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    return {
      toDrawing: (event) => [(event.clientX - box.left) / scale, (event.clientY - box.top) / scale],
      toFigure: (x, y) => [x * scale + box.left - around.left, y * scale + box.top - around.top],
    };
  };
  const off = new Set(); // runs that are not shown

  document.querySelectorAll("svg[data-chart]").forEach((svg) => {
    const chart = data.charts[svg.dataset.chart], figure = svg.parentElement;
    const cursor = svg.querySelector(".cursor"), said = figure.querySelector("[aria-live]");
    let at = -1;
    const show = (index, aloud) => {
      if (!chart.epochs.length) return;
      at = Math.max(0, Math.min(index, chart.epochs.length - 1));
      const rows = chart.series.filter((one) => one.texts[at] !== "" && !off.has(String(one.run)));
      cursor.setAttribute("x1", chart.x[at]);
      cursor.setAttribute("x2", chart.x[at]);
      cursor.toggleAttribute("hidden", false);
      const lines = rows.map((one) => {
        const row = make("div", `row c${one.colour} ${one.style}`);
        row.append(make("span", "", one.label), make("span", "", one.texts[at]));
        return row;
      });
      const [x, y] = places(svg).toFigure(chart.x[at], 90);
      showTip(figure, x, y, [make("b", "", `epoch ${chart.epochs[at]}`), ...lines]);
      if (aloud) said.textContent = `epoch ${chart.epochs[at]}: ` + rows.map((one) => `${one.label} ${one.texts[at]}`).join(", ");
    };
    const hide = () => {
      at = -1;
      cursor.toggleAttribute("hidden", true);
      figure.querySelector(".tip").hidden = true;
    };
    svg.addEventListener("pointermove", (event) => {
      const [x] = places(svg).toDrawing(event);
      let nearest = 0;
      chart.x.forEach((place, index) => { if (Math.abs(place - x) < Math.abs(chart.x[nearest] - x)) nearest = index; });
      show(nearest, false);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const last = chart.epochs.length - 1;
      const next = { ArrowRight: at + 1, ArrowLeft: at < 0 ? last : at - 1, Home: 0, End: last }[event.key];
      if (event.key === "Escape") hide();
      if (next === undefined) return;
      event.preventDefault();
      show(next, true);
    });
  });

  document.querySelectorAll("[data-toggle]").forEach((button) => button.addEventListener("click", () => {
    const run = button.dataset.toggle, isOff = off.delete(run) ? false : Boolean(off.add(run));
    button.setAttribute("aria-pressed", String(!isOff));
    document.querySelectorAll(`.chart [data-run="${run}"]`).forEach((line) => line.classList.toggle("off", isOff));
  }));

  document.querySelectorAll("svg[data-matrix]").forEach((svg) => {
    const matrix = data.matrices[svg.dataset.matrix], figure = svg.parentElement, count = matrix.names.length;
    const mark = svg.querySelector(".mark"), said = figure.querySelector("[aria-live]");
    let at = null;
    const show = (row, column, aloud) => {
      at = [Math.max(0, Math.min(row, count - 1)), Math.max(0, Math.min(column, count - 1))];
      const [label, taken] = at, images = matrix.images[label], times = matrix.counts[`${label},${taken}`] || 0;
      const x = matrix.left + taken * matrix.cell, y = matrix.top + label * matrix.cell;
      mark.setAttribute("x", x);
      mark.setAttribute("y", y);
      mark.toggleAttribute("hidden", false);
      const share = images ? ` (${(100 * times / images).toFixed(1)} %)` : "";
      const what = label === taken ? `${matrix.names[label]}, and taken for it` : `${matrix.names[label]} taken for ${matrix.names[taken]}`;
      const numbers = `${times.toLocaleString("en")} of ${images.toLocaleString("en")}${share}`;
      const [left, top] = places(svg).toFigure(x + matrix.cell, y + matrix.cell / 2);
      showTip(figure, left, top, [make("b", "", what), make("span", "", numbers)]);
      if (aloud) said.textContent = `${what}: ${numbers}`;
    };
    const hide = () => {
      at = null;
      mark.toggleAttribute("hidden", true);
      figure.querySelector(".tip").hidden = true;
    };
    svg.addEventListener("pointermove", (event) => {
      const [x, y] = places(svg).toDrawing(event);
      const row = Math.floor((y - matrix.top) / matrix.cell), column = Math.floor((x - matrix.left) / matrix.cell);
      if (row < 0 || column < 0 || row >= count || column >= count) hide(); else show(row, column, false);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (event.key === "Escape") hide();
      if (!move) return;
      event.preventDefault();
      if (at) show(at[0] + move[0], at[1] + move[1], true); else show(0, 0, true);
    });
  });

  // A click on a heading sorts, a second one the other way round; numbers begin with the largest.
  const byText = new Intl.Collator("en", { numeric: true }).compare;
  document.querySelectorAll("table.sortable").forEach((table) => {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => heading.firstElementChild.addEventListener("click", () => {
      const rows = [...table.tBodies[0].rows];
      const isNumber = rows.some((row) => "value" in row.cells[column].dataset);
      const before = heading.getAttribute("aria-sort");
      const order = before ? (before === "descending" ? 1 : -1) : isNumber ? -1 : 1;
      const value = (row) => Number(row.cells[column].dataset.value ?? -Infinity);
      rows.sort((one, other) => order * (isNumber ? value(one) - value(other) || 0
        : byText(one.cells[column].textContent, other.cells[column].textContent)));
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order > 0 ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    }));
  });

  // On paper nothing opens with a click.
  addEventListener("beforeprint", () => document.querySelectorAll("details.run").forEach((run) => { run.open = true; }));
})();
