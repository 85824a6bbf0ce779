// The place of one box on the image, shifted and sized by keys, mouse or finger. Shares of the image go in and out.
const SVG = "http://www.w3.org/2000/svg";
const CORNERS = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
const LEAST_PX = 2; // of a side, in pixels of the image
const HANDLE_PX = 11; // half a side of a corner to drag, in pixels of the screen
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NAME = "The place of the box. Arrow keys shift it, with Shift they change its size, Enter saves, Escape leaves.";

const drawn = (name, attributes) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

export class PlaceEditor {
  // `changed(place)` is called whenever the place is another one.
  constructor({ changed }) {
    this.changed = changed;
    this.layer = null;
  }

  get open() { return this.layer !== null; }

  // The place as centre x, centre y, width and height, six digits as a label line has.
  get place() {
    const { left, top, right, bottom } = this.box;
    const share = (value, side) => Math.round((value / side) * 1e6) / 1e6;
    const [w, h] = this.size;
    return [share((left + right) / 2, w), share((top + bottom) / 2, h), share(right - left, w), share(bottom - top, h)];
  }

  start(layers, size, [cx, cy, w, h]) {
    this.close();
    this.size = size;
    const [width, height] = size;
    this.box = { left: (cx - w / 2) * width, top: (cy - h / 2) * height, right: (cx + w / 2) * width, bottom: (cy + h / 2) * height };
    this.step = Math.max(1, Math.round(Math.max(width, height) / 400));
    this.layer = document.createElement("div");
    this.layer.className = "editing";
    this.layer.tabIndex = 0;
    this.layer.setAttribute("role", "application");
    this.layer.setAttribute("aria-label", NAME);
    this.svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMinYMin meet", "aria-hidden": "true" });
    this.under = drawn("rect", { class: "under" });
    this.over = drawn("rect", { class: "over" });
    this.handles = CORNERS.map(() => drawn("rect", { class: "handle" }));
    this.svg.append(this.under, this.over, ...this.handles);
    this.layer.append(this.svg);
    layers.append(this.layer);
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      this.layer.addEventListener(kind, (event) => this.pointer(event));
    }
    this.layer.addEventListener("click", (event) => event.stopPropagation());
    this.held = null;
    this.draw();
    this.layer.focus({ preventScroll: true });
  }

  close() {
    this.layer?.remove();
    this.layer = null;
  }

  // Whether the key was one of ours.
  key(event) {
    const by = ARROWS[event.key];
    if (!by) return false;
    const [x, y] = by.map((one) => one * this.step);
    const { left, top, right, bottom } = this.box;
    if (event.shiftKey) this.set({ left, top, right: Math.max(left + LEAST_PX, right + x), bottom: Math.max(top + LEAST_PX, bottom + y) });
    else this.shift(left + x, top + y, right - left, bottom - top);
    return true;
  }

  shift(left, top, w, h) {
    const [width, height] = this.size;
    const x = Math.min(Math.max(0, left), width - w);
    const y = Math.min(Math.max(0, top), height - h);
    this.set({ left: x, top: y, right: x + w, bottom: y + h });
  }

  set({ left, top, right, bottom }) {
    const [width, height] = this.size;
    this.box = { left: Math.max(0, left), top: Math.max(0, top), right: Math.min(width, right), bottom: Math.min(height, bottom) };
    this.draw();
  }

  draw() {
    const { left, top, right, bottom } = this.box;
    for (const rect of [this.under, this.over]) {
      for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) rect.setAttribute(name, value);
    }
    const half = HANDLE_PX / this.scale();
    const at = [[left, top], [right, top], [right, bottom], [left, bottom]];
    this.handles.forEach((handle, n) => {
      for (const [name, value] of Object.entries({ x: at[n][0] - half, y: at[n][1] - half, width: 2 * half, height: 2 * half })) handle.setAttribute(name, value);
    });
    this.changed(this.place);
  }

  scale() { return this.svg.getScreenCTM()?.a || 1; } // pixels of the screen for one of the image

  at(event) {
    const matrix = this.svg.getScreenCTM();
    if (!matrix) return [0, 0];
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    return [Math.min(Math.max(0, point.x), this.size[0]), Math.min(Math.max(0, point.y), this.size[1])];
  }

  pointer(event) {
    const [x, y] = this.at(event);
    const { left, top, right, bottom } = this.box;
    if (event.type === "pointerdown") {
      if (event.button) return;
      const near = 1.5 * HANDLE_PX / this.scale();
      const corner = [[left, top], [right, top], [right, bottom], [left, bottom]].findIndex(([a, b]) => Math.abs(a - x) <= near && Math.abs(b - y) <= near);
      const inside = x > left && x < right && y > top && y < bottom;
      // A corner is dragged against the one opposite; elsewhere a new box begins.
      if (corner >= 0) this.held = { from: [[right, bottom], [left, bottom], [left, top], [right, top]][corner] };
      else if (inside) this.held = { grip: [x - left, y - top] };
      else this.held = { from: [x, y] };
      this.layer.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.layer.focus({ preventScroll: true });
    } else if (event.type === "pointermove" && this.held) {
      const { grip, from } = this.held;
      if (grip) this.shift(x - grip[0], y - grip[1], right - left, bottom - top);
      else if (Math.abs(x - from[0]) >= LEAST_PX && Math.abs(y - from[1]) >= LEAST_PX) {
        this.set({ left: Math.min(x, from[0]), top: Math.min(y, from[1]), right: Math.max(x, from[0]), bottom: Math.max(y, from[1]) });
      }
    } else if (event.type !== "pointermove") this.held = null;
  }
}
