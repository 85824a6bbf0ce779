"use strict";
// The map: points on a canvas, a crop beside the pointer, and a line drawn around points as a queue.
(async () => {
  const GRID = 1000, CORNERS = 60, MARGIN = 12;
  const canvas = document.getElementById("map");
  const tip = document.getElementById("map-tip");
  const select = document.getElementById("map-class");
  const lassoButton = document.getElementById("map-lasso");
  const chosen = document.getElementById("map-chosen");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const answer = await fetch("/map/points", { credentials: "same-origin" });
  if (!answer.ok) { chosen.textContent = `The map was not loaded: the server said ${answer.status}.`; return; }
  const bytes = await answer.arrayBuffer();
  // Ids are whole numbers of 64 bits, which a plain number cannot always hold: they are only ever written out.
  const [n, k] = new Uint32Array(bytes, 0, 2);
  let offset = 8;
  const column = (kind, length) => {
    const found = new kind(bytes, offset, length);
    offset += found.byteLength;
    return found;
  };
  const ids = column(BigInt64Array, n), classIds = [...column(BigInt64Array, k)].map(String);
  const colours = [...column(Uint32Array, k)].map((c) => `#${c.toString(16).padStart(6, "0")}`);
  const codes = column(Uint32Array, n), xs = column(Uint16Array, n), ys = column(Uint16Array, n);
  const open = column(Uint8Array, n);

  const names = new Map([...select.options].map((o) => [o.value, o.textContent.replace(/ \(\d+\)$/, "")]));
  const bins = new Map(); // points by field, to find the nearest one fast
  const FIELD = 25;
  for (let i = 0; i < n; i++) {
    const key = Math.floor(xs[i] / FIELD) * 64 + Math.floor(ys[i] / FIELD);
    if (!bins.has(key)) bins.set(key, []);
    bins.get(key).push(i);
  }
  let side = 1, at = -1, line = [], drawing = false, plain = null;
  const px = (v) => MARGIN + (v / GRID) * (side - 2 * MARGIN);
  const unit = (v) => Math.min(GRID, Math.max(0, ((v - MARGIN) / (side - 2 * MARGIN)) * GRID));

  function paint() {
    const ratio = devicePixelRatio || 1;
    side = canvas.clientWidth;
    plain = document.createElement("canvas");
    plain.width = plain.height = canvas.width = canvas.height = Math.round(side * ratio);
    const c = plain.getContext("2d");
    c.scale(ratio, ratio);
    const size = n > 20000 ? 2 : n > 2000 ? 3.5 : 6;
    const only = classIds.indexOf(select.value);
    const groups = classIds.map(() => []);
    for (let i = 0; i < n; i++) groups[codes[i]].push(i);
    const grey = dark.matches ? "#59616c" : "#b9c0c9", ring = dark.matches ? "#ffffff" : "#000000";
    const dot = (i, across) => {
      if (n > 20000) c.fillRect(px(xs[i]) - across / 2, px(ys[i]) - across / 2, across, across); // much faster
      else { c.beginPath(); c.arc(px(xs[i]), px(ys[i]), across / 2, 0, 7); c.fill(); }
    };
    const draw = (members, fill, marked) => {
      if (marked) {
        c.fillStyle = ring;
        for (const i of members) if (open[i]) dot(i, size + 3);
      }
      c.fillStyle = fill;
      for (const i of members) dot(i, size);
    };
    groups.forEach((members, code) => { if (code !== only) draw(members, only < 0 ? colours[code] : grey, only < 0); });
    if (only >= 0) draw(groups[only], colours[only], true);
    overlay();
  }

  function overlay() {
    const c = canvas.getContext("2d"), ratio = devicePixelRatio || 1;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, canvas.width, canvas.height);
    c.drawImage(plain, 0, 0);
    c.scale(ratio, ratio);
    c.strokeStyle = dark.matches ? "#ffd166" : "#0b57a4";
    c.lineWidth = 2.5;
    if (line.length) {
      c.beginPath();
      line.forEach(([x, y], k) => k ? c.lineTo(px(x), px(y)) : c.moveTo(px(x), px(y)));
      c.closePath();
      c.stroke();
    }
    if (at >= 0) { c.beginPath(); c.arc(px(xs[at]), px(ys[at]), 9, 0, 7); c.stroke(); }
  }

  function nearest(x, y, within) {
    let best = -1, far = within * within;
    const reach = Math.ceil(within / FIELD);
    const bx = Math.floor(x / FIELD), by = Math.floor(y / FIELD);
    for (let i = bx - reach; i <= bx + reach; i++) for (let j = by - reach; j <= by + reach; j++) {
      for (const k of (j < 0 || j > 63 ? [] : bins.get(i * 64 + j) ?? [])) {
        const d = (xs[k] - x) ** 2 + (ys[k] - y) ** 2;
        if (d < far) { far = d; best = k; }
      }
    }
    return best;
  }

  function show(k) {
    if (k === at) return;
    at = k;
    tip.hidden = k < 0;
    if (k >= 0) {
      document.getElementById("map-crop").src = `/crop/${ids[k]}/small`;
      document.getElementById("map-words").textContent = `${names.get(classIds[codes[k]]) ?? classIds[codes[k]]}${open[k] ? " · issue open" : ""}`;
      document.getElementById("map-open").href = `/map/box/${ids[k]}`;
      const x = px(xs[k]), y = px(ys[k]);
      tip.style.left = `${Math.max(0, x > side / 2 ? x - tip.offsetWidth - 14 : x + 14)}px`;
      tip.style.top = `${Math.max(0, y > side / 2 ? y - tip.offsetHeight - 14 : y + 14)}px`;
    }
    overlay();
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [unit(event.clientX - box.left), unit(event.clientY - box.top)];
  };
  const finger = () => (14 / side) * GRID + 3;

  // The same rule, in whole numbers, as the server's.
  function inside(area, x, y) {
    let hits = 0;
    for (let k = 0; k < area.length; k++) {
      let [x0, y0] = area[k], [x1, y1] = area[(k + 1) % area.length];
      if (y0 > y1) [x0, y0, x1, y1] = [x1, y1, x0, y0];
      if (y >= y0 && y < y1 && (x - x0) * (y1 - y0) < (y - y0) * (x1 - x0)) hits++;
    }
    return hits % 2 === 1;
  }

  function choose() {
    const step = Math.max(1, line.length / CORNERS), corners = [];
    for (let k = 0; k < line.length && corners.length < CORNERS; k = k + step) corners.push(line[Math.floor(k)].map(Math.round));
    line = corners;
    let boxes = 0, issues = 0;
    if (corners.length >= 3) for (let i = 0; i < n; i++) if (inside(corners, xs[i], ys[i])) { boxes++; issues += open[i]; }
    chosen.textContent = boxes ? `${boxes.toLocaleString("en")} boxes in the area, ${issues.toLocaleString("en")} with open issues. ` : "No box is in the area.";
    if (boxes) {
      const link = document.createElement("a");
      link.className = "button";
      link.id = "map-queue";
      link.href = `/queue/all?area=${corners.map(([x, y]) => `${x}.${y}`).join("-")}`;
      link.textContent = "Open as a queue";
      chosen.append(link);
    } else line = [];
    lassoButton.setAttribute("aria-pressed", "false");
    canvas.classList.remove("drawing");
    overlay();
  }

  let down = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    down = place(event);
    if (event.pointerType !== "touch" || lassoButton.getAttribute("aria-pressed") === "true") {
      drawing = true;
      line = [down];
      canvas.setPointerCapture(event.pointerId);
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (drawing) {
      const [lx, ly] = line[line.length - 1];
      if (Math.hypot(x - lx, y - ly) > 3) { line.push([x, y]); show(-1); overlay(); }
    } else if (event.pointerType !== "touch") show(nearest(x, y, finger()));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!down) return;
    const drawn = drawing && line.length > 4;
    drawing = false;
    const start = down;
    down = null;
    if (drawn) { choose(); return; }
    line = [];
    const k = nearest(...start, finger());
    if (event.pointerType === "touch") show(k);
    else if (k >= 0) location.assign(`/map/box/${ids[k]}`);
    else overlay();
  });
  canvas.addEventListener("pointercancel", () => { drawing = false; down = null; line = []; overlay(); });
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter" && at >= 0) location.assign(`/map/box/${ids[at]}`);
    else if (event.key === "Escape") { line = []; show(-1); overlay(); }
    else if (way && n) {
      event.preventDefault();
      if (at < 0) { show(nearest(GRID / 2, GRID / 2, GRID)); return; }
      let best = -1, far = Infinity;
      for (let i = 0; i < n; i++) {
        const dx = xs[i] - xs[at], dy = ys[i] - ys[at];
        const along = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
        if (along > 0 && aside <= along * 1.5 && along + 2 * aside < far) { far = along + 2 * aside; best = i; }
      }
      if (best >= 0) { show(best); document.getElementById("status").textContent = document.getElementById("map-words").textContent; }
    } else return;
    event.preventDefault();
  });
  lassoButton.addEventListener("click", () => {
    const on = lassoButton.getAttribute("aria-pressed") !== "true";
    lassoButton.setAttribute("aria-pressed", String(on));
    canvas.classList.toggle("drawing", on);
  });
  const legend = [...document.querySelectorAll(".map-legend button")];
  select.addEventListener("change", () => {
    history.replaceState(null, "", select.value ? `/map?class=${select.value}` : "/map");
    for (const button of legend) button.setAttribute("aria-pressed", String(button.dataset.class === select.value));
    paint();
  });
  for (const button of legend) {
    button.addEventListener("click", () => {
      select.value = select.value === button.dataset.class ? "" : button.dataset.class;
      select.dispatchEvent(new Event("change"));
    });
  }
  dark.addEventListener("change", paint);
  new ResizeObserver(() => { if (canvas.clientWidth !== side) paint(); }).observe(canvas);
  paint();
  canvas.dataset.points = String(n);
})();
