// Keys, the next sample at once, and verdicts that count as saved only after the server has answered.
import { Outbox } from "./outbox.js";
import { PlaceEditor } from "./place.js";

const queue = document.getElementById("queue");
const status = document.getElementById("status");
const failed = document.getElementById("failed");
const help = document.getElementById("help");
const relabel = document.getElementById("relabel");
const large = document.getElementById("large");
const mode = queue?.dataset.mode ?? "";
const parts = new Map(); // address of a sample → promise of its HTML
const pictures = new Map(); // so that prefetched pictures are not thrown away; oldest first
const KEPT = 60;

const say = (text) => { status.textContent = text; };
const sample = () => document.getElementById("sample");
const place = document.getElementById("sample-place");
const addressOf = (id) => `/queue/${queue.dataset.queue}/${id}${location.search}`;

for (const element of document.querySelectorAll("#help-button")) element.hidden = false;
document.documentElement.classList.add("scripted");
if (matchMedia("(min-width: 56rem)").matches) for (const e of document.querySelectorAll("[data-open-if-wide]")) e.open = true;
const wake = (root) => { for (const e of root.querySelectorAll(".needs-script")) e.hidden = false; };
wake(document);

// ---- verdicts on their way

const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

function showTrouble() {
  const { trouble, refused, waiting } = outbox;
  failed.hidden = !trouble && !refused.length;
  const count = waiting.filter((job) => job.path !== "/undo").length;
  const what = count ? `NOT saved: ${plural(count, "verdict")}` : "NOT taken back";
  document.getElementById("failed-text").textContent = trouble
    ? `${what} (${trouble.why}). ${trouble.todo} Kept in this tab until then.`
    : "";
  document.getElementById("refused").replaceChildren(...refused.map((text) => {
    const line = document.createElement("li");
    line.textContent = `Cannot be saved. ${text}`;
    return line;
  }));
  document.getElementById("retry").hidden = !trouble;
  document.getElementById("failed-close").hidden = Boolean(trouble);
  if (trouble) say("");
  if (undoing && !waiting.some((job) => job.path === "/undo")) { end(undoing); undoing = 0; }
}

function showProgress(result) {
  const meter = document.querySelector("#queue .meter");
  if (!meter || result.of_queue !== queue.dataset.queue) return;
  meter.querySelector("progress").value = result.decided;
  meter.querySelector(".done").textContent = result.decided.toLocaleString("en");
  meter.querySelector(".of").textContent = result.total.toLocaleString("en");
}

const outbox = new Outbox({
  changed: showTrouble,
  saved(job, result) {
    if (job.path === "/draw" || result.finding_id < 0) parts.clear(); // several samples may show that image
    else if (queue) parts.delete(addressOf(result.finding_id));
    showProgress(result);
    if (job.path === "/undo") takenBack(result);
    else if (job.path === "/draw") {
      say(`saved: a box of ${result.name || result.relabel_to} is missing`);
      if (mode === "one" && sample().dataset.finding === String(result.finding_id) && !coming && !spent) show(String(result.finding_id), { push: false });
    }
    else {
      say(`saved: ${result.verdict}${result.name ? ` to ${result.name}` : ""}`);
      if (result.left !== null) parts.clear(); // what was read ahead does not know of that entry
      if (mode === "one" && job.fields.only && result.left !== null) show(String(result.left));
      else if (mode === "grid") mark(cardOf(result.finding_id), result.verdict);
      else if (mode === "one" && job.restored && sample().dataset.finding === String(result.finding_id)) show(String(result.finding_id), { push: false });
      else if (mode === "one" && !outbox.waiting.length) onwards();
    }
  },
});

document.getElementById("retry").addEventListener("click", () => { say("saving…"); outbox.retry(); });
document.getElementById("failed-close").addEventListener("click", () => { outbox.refused = []; showTrouble(); });
window.addEventListener("beforeunload", (event) => { if (outbox.waiting.length) event.preventDefault(); });

// ---- samples, one by one

// A key decides about the sample that is on the screen and was not decided since it came there. While the next
// one is on its way the keys wait: who types ahead would judge what was never seen.
let coming = 0; // number of the sample that is on its way, 0 for none
let latest = 0;
let undoing = 0; // the same, while the server is asked which one that is
let spent = false; // what is on the screen was decided and only still stands there

function waits() {
  if (coming) say("wait: the next sample is not here yet");
  else if (spent) say(decided);
  return coming > 0 || spent;
}

function begin() {
  coming = ++latest;
  place.setAttribute("aria-busy", "true");
  return coming;
}

function end(number) {
  if (number !== coming) return;
  coming = 0;
  place.setAttribute("aria-busy", "false");
  if (status.textContent.startsWith("wait:")) say("");
}

// Until the pictures to decide by are there and were drawn; one that cannot be had counts as there.
async function painted() {
  const missing = [...place.querySelectorAll(".look img")].filter((image) => !image.complete);
  await Promise.all(missing.map((image) => new Promise((done) => { image.onload = image.onerror = done; })));
}
const nextFrame = () => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });

function part(id) {
  const address = addressOf(id);
  if (!parts.has(address)) {
    const query = location.search ? `${location.search}&part=1` : "?part=1";
    const loading = fetch(`/queue/${queue.dataset.queue}/${id}${query}`, { credentials: "same-origin" })
      .then((answer) => { if (!answer.ok) throw new Error(`the server said ${answer.status}`); return answer.text(); });
    loading.catch(() => parts.delete(address));
    parts.set(address, loading);
    if (parts.size > KEPT) parts.delete(parts.keys().next().value);
  }
  return parts.get(address);
}

async function prefetch() {
  const ahead = (sample()?.dataset.behind ?? "").split(" ").filter(Boolean);
  for (const id of ahead) {
    try {
      const fragment = new DOMParser().parseFromString(await part(id), "text/html");
      for (const image of fragment.querySelectorAll("img")) {
        const source = image.getAttribute("src");
        if (pictures.has(source)) continue;
        const picture = new Image();
        picture.src = source;
        pictures.set(source, picture);
        if (pictures.size > KEPT * 8) pictures.delete(pictures.keys().next().value);
      }
    } catch { return; }
  }
}

async function show(id, { push = true } = {}) {
  const number = begin();
  leavePlace();
  let html;
  try { html = await part(id); } catch (error) {
    end(number);
    if (number === latest) say(`not loaded: ${error.message}`);
    return;
  }
  if (number !== latest) return; // something else was asked for since
  const fragment = new DOMParser().parseFromString(html, "text/html");
  place.replaceChildren(...fragment.body.childNodes);
  wake(place);
  spent = false;
  if (push) history.pushState({ id }, "", addressOf(id));
  document.getElementById("sample-title").focus({ preventScroll: true });
  scrollTo(0, 0);
  await painted();
  await nextFrame();
  end(number);
  prefetch();
}

function step(name) {
  if (coming) { waits(); return; }
  const link = sample()?.dataset[name]?.split(" ")[0];
  if (link) show(link);
  else say(name === "before" ? "this is the first one" : "this is the last one");
}

// After all are saved: what could not be loaded before, or the grid behind the last one.
function onwards() {
  if (!spent || coming) return;
  if (sample().dataset.behind) step("behind");
  else location.assign(queue.dataset.grid);
}

// ---- deciding

const cardOf = (id) => document.querySelector(`.finding[data-finding="${id}"]`);
let judged = null; // the card of the grid that was decided by key and still has the focus
const onlyThis = (at) => Boolean(at.querySelector(".decide [name=only]")?.checked);
const decided = "this one is decided: arrow keys to go on or to change it";

function decide(at, verdict, relabelTo, place) {
  if (mode === "one" && (waits() || at !== sample())) return;
  leavePlace();
  const id = at.dataset.finding;
  const fields = { finding_id: id, verdict, queue: queue.dataset.queue };
  if (relabelTo !== undefined) fields.relabel_to = relabelTo;
  if (place) Object.assign(fields, asFields(place));
  if (onlyThis(at)) fields.only = "1";
  say("saving…");
  if (mode === "one") {
    spent = true;
    if (!parts.has(addressOf(id))) parts.set(addressOf(id), Promise.resolve(at.outerHTML)); // to go back without a server
  }
  outbox.add("/verdict", fields, `${verdict} on ${at.dataset.title}`);
  // What is left of a place where one box was decided alone comes next: the server says what that is.
  if (mode === "one" && sample().dataset.behind && !fields.only) step("behind");
}

function mark(card, verdict) {
  if (!card) return;
  card.classList.remove("is-ok", "is-drop", "is-relabel", "is-added", "is-moved", "is-unsure");
  if (verdict) card.classList.add(`is-${verdict}`);
  card.querySelector(".verdict").textContent = verdict;
}

function undo() {
  if (coming) { waits(); return; }
  const unsent = outbox.takeOut();
  if (unsent) {
    takenBack({ finding_id: unsent.fields.finding_id, queue: unsent.fields.queue, verdict: unsent.fields.verdict });
    return;
  }
  if (mode === "one") undoing = begin();
  outbox.add("/undo", { queue: queue.dataset.queue }, "Taking back");
}

function takenBack(result) {
  say(`taken back: ${result.verdict}`);
  if (mode === "grid") {
    const card = cardOf(result.finding_id);
    judged = null;
    if (result.finding_id < 0) return;
    if (card) { mark(card, ""); card.querySelector("a").focus(); } else location.reload();
  } else if (mode === "one") {
    if (result.finding_id < 0) show(sample().dataset.finding, { push: false }); // a box that was drawn on an image
    else if (result.queue !== queue.dataset.queue) location.assign(`/queue/${result.queue}/${result.finding_id}`);
    else show(String(result.finding_id));
  }
}

// ---- relabelling

const options = new Set([...document.querySelectorAll("#classes option")].map((o) => o.value));
const ids = new Set([...options].map((o) => o.split(" ")[0]));
let answered = null; // what to do with the class

function askClass(target) {
  if (target.dataset.image) { say("relabel: not here, for no box could get another class"); return; }
  if (mode === "one" && waits()) return;
  ask("Relabel", target.dataset.suggestion, (chosen) => {
    decide(target, "relabel", chosen);
    if (mode === "grid") judged = target;
  });
}

function ask(word, likely, then) {
  answered = then;
  const field = document.getElementById("relabel-to");
  document.getElementById("relabel-do").textContent = word;
  field.value = likely ?? "";
  document.getElementById("relabel-error").textContent = "";
  relabel.showModal();
  field.select();
}

document.getElementById("relabel-form")?.addEventListener("submit", (event) => {
  if (event.submitter?.value === "cancel") return;
  const value = document.getElementById("relabel-to").value.trim();
  const byName = [...options].filter((o) => o.slice(o.indexOf(" ") + 1) === value);
  const chosen = options.has(value) || ids.has(value) ? value.split(" ")[0] : byName.length === 1 ? byName[0].split(" ")[0] : "";
  if (!chosen) {
    event.preventDefault();
    document.getElementById("relabel-error").textContent =
      byName.length > 1 ? "Several classes have this name: give the id." : "There is no such class: choose one of the list.";
    return;
  }
  relabel.close();
  event.preventDefault();
  answered(chosen);
});

// ---- places: of a missing box, of a bad one, and of one that nobody found

let drawing = false; // whether what is edited is a box of its own, not the place of the sample
const asFields = ([cx, cy, w, h]) => ({ cx, cy, w, h });
const numbers = (text) => (text ? text.split(" ").map(Number) : null);
const placing = () => document.getElementById("placing");
const editor = new PlaceEditor({
  changed([cx, cy, w, h]) {
    const [width, height] = numbers(sample().dataset.size);
    const px = [(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height].map(Math.round);
    placing().querySelector("output").textContent = `left ${px[0]}, top ${px[1]}, ${px[2]} × ${px[3]} px`;
  },
});

function editPlace(anew) {
  const at = sample();
  if (waits() || !placing()) return;
  if (!anew && !at.dataset.places) { say("there is no place to shift here: n draws a box"); return; }
  drawing = anew;
  editor.start(at.querySelector(".layers"), numbers(at.dataset.size), (!anew && numbers(at.dataset.place)) || [0.5, 0.5, 0.2, 0.2]);
  placing().hidden = false;
  placing().querySelector("[data-place-class]").hidden = anew || at.dataset.places !== "added" || !at.dataset.likely;
  say("arrows shift the box, with Shift they size it; a or Enter saves, Esc leaves");
}

function leavePlace() {
  if (!editor.open) return;
  editor.close();
  if (placing()) placing().hidden = true;
  document.getElementById("sample-title")?.focus({ preventScroll: true });
}

// What `a` does: the place is right, with the likely class unless another is wanted.
function confirmPlace(another) {
  const at = sample();
  if (waits()) return;
  const verdict = at.dataset.places;
  if (editor.open && drawing) {
    const place = editor.place;
    ask("Add", "", (chosen) => {
      leavePlace();
      const fields = { image_id: at.dataset.imageId, finding_id: at.dataset.finding, relabel_to: chosen, verdict: "added", queue: queue.dataset.queue };
      say("saving…");
      outbox.add("/draw", { ...fields, ...asFields(place) }, `a box on ${at.dataset.title}`);
    });
    return;
  }
  if (!verdict) { say("a is for a missing or a bad box: n draws a box"); return; }
  const place = editor.open ? editor.place : numbers(at.dataset.place);
  if (!place) { editPlace(false); return; }
  const done = (chosen) => decide(at, verdict, chosen, place);
  if (verdict === "moved") done();
  else if (at.dataset.likely && !another) done(at.dataset.likely.split(" ")[0]);
  else ask("Add", at.dataset.likely, done);
}

// Keys while a place is edited; true where the key was taken.
function placeKey(event, key) {
  if (!editor.open) return false;
  if (key === "Escape" || key === "z") leavePlace();
  else if ((key === "a" || key === "Enter") && !event.target.closest?.("button")) confirmPlace(event.shiftKey);
  else if (key === "Enter" || key === " " || key === "Tab" || key === "?" || key === "Shift") return false;
  else if (!editor.key(event)) say("first save the place (a) or leave it (Esc)");
  return true;
}

// ---- the image as large as the screen

function enlarge() {
  const layers = sample()?.querySelector(".layers");
  if (!layers || editor.open) return;
  document.getElementById("large-place").replaceChildren(layers.cloneNode(true));
  large.showModal();
}

// ---- keys and clicks

function target() {
  if (mode === "one") return sample();
  return document.activeElement?.closest?.(".finding") ?? null;
}

function move(by) {
  const links = [...document.querySelectorAll(".finding > a")];
  if (!links.length) return;
  const card = target();
  const at = card ? links.indexOf(card.querySelector("a")) : -1;
  const wanted = links[Math.min(links.length - 1, Math.max(0, at + by))];
  wanted.focus();
  wanted.scrollIntoView({ block: "nearest" });
  judged = null;
}

function columns() {
  const cards = [...document.querySelectorAll(".finding")];
  const other = cards.findIndex((card) => card.offsetTop > cards[0].offsetTop);
  return other < 0 ? cards.length : other;
}

const verdicts = { o: "ok", d: "drop", u: "unsure" };
// A Korean keyboard layout gives ㅐ where the key says o: then the place of the key counts.
const letter = (event) => /^[\x20-\x7e]$/.test(event.key) ? event.key.toLowerCase()
  : /^Key[A-Z]$/.test(event.code) ? event.code.slice(3).toLowerCase() : event.key;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) {
    if (event.key === "?" && help.open) help.close();
    if (letter(event) === "f" && large?.open) large.close();
    return;
  }
  // A field of a dialog that has just closed keeps the focus until the next frame; nobody types in it.
  if (event.target.closest?.("input, select, textarea") && !event.target.closest("dialog")) return;
  const key = letter(event);
  const grid = mode === "grid";
  if (mode === "one" && placeKey(event, key)) { event.preventDefault(); return; }
  if (key === "?") help.showModal();
  else if (!queue) return;
  else if (verdicts[key] && !event.repeat) {
    const at = target();
    if (!at) { say("choose a finding first: arrow keys"); return; }
    if (grid && at === judged) say(decided);
    else if (grid && !at.querySelector("img").complete) say("wait: its picture is not here yet");
    else {
      decide(at, verdicts[key]);
      if (grid) { move(1); judged = target() === at ? at : null; }
    }
  } else if (key === "r" && !event.repeat) {
    const at = target();
    if (at) askClass(at); else say("choose a finding first: arrow keys");
  } else if (key === "a" && !event.repeat) {
    if (grid) say("open it first (Enter): its place has to be seen"); else confirmPlace(event.shiftKey);
  } else if (key === "e" && mode === "one" && !event.repeat) editPlace(false);
  else if (key === "n" && mode === "one" && !event.repeat) editPlace(true);
  else if (key === "z" && !event.repeat) undo();
  else if (key === "b" && mode === "one" && !event.repeat) {
    for (const box of sample().querySelectorAll("[name=only]")) box.checked = !box.checked;
    say(sample().querySelector("[name=only]") ? (onlyThis(sample()) ? "only this one" : "with all of its place") : "it stands alone");
  } else if (key === "f" && mode === "one" && !event.repeat) enlarge();
  else if (key === "g" && mode === "one") location.assign(queue.dataset.grid);
  else if (key === "ArrowRight" || key === "j") grid ? move(1) : step("behind");
  else if (key === "ArrowLeft" || key === "k") grid ? move(-1) : step("before");
  else if (grid && key === "ArrowDown") move(columns());
  else if (grid && key === "ArrowUp") move(-columns());
  else return;
  event.preventDefault();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches(".decide, .quick") && event.submitter?.name === "verdict") {
    event.preventDefault();
    decide(mode === "one" ? sample() : form.closest(".finding"), event.submitter.value);
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("#help-button")) help.showModal();
  else if (event.target.closest("[data-relabel]")) askClass(target());
  else if (event.target.closest("[data-undo]")) undo();
  else if (event.target.closest("[data-confirm], [data-place-save]")) confirmPlace(false);
  else if (event.target.closest("[data-place-class]")) confirmPlace(true);
  else if (event.target.closest("[data-place-leave]")) leavePlace();
  else if (event.target.closest("[data-draw]")) editPlace(true);
  else if (event.target.closest("[data-adjust]")) editPlace(false);
  else if (event.target.closest("#sample .spot")) return;
  else if (event.target.closest("[data-enlarge], #sample .layers")) enlarge();
  else if (event.target === large) large.close();
  else if (mode === "one" && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    const link = event.target.closest(".steps a");
    if (link) { event.preventDefault(); step(link.rel === "prev" ? "before" : "behind"); }
  }
});

// Who takes hold of the place on the image shifts it at once.
document.addEventListener("pointerdown", (event) => {
  if (mode !== "one" || editor.open || !event.target.closest?.("#sample .spot")) return;
  editPlace(false);
  if (editor.open) editor.pointer(event);
});

window.addEventListener("popstate", (event) => {
  const id = event.state?.id ?? location.pathname.split("/")[3];
  if (mode === "one" && id) show(id, { push: false });
});

// The class filter takes what the list offers ("12 name") and sends the id.
for (const form of document.querySelectorAll(".filters")) {
  form.addEventListener("submit", () => {
    const field = form.querySelector("[data-class-id]");
    const value = field.value.trim();
    const byName = [...options].find((o) => o.slice(o.indexOf(" ") + 1) === value);
    field.value = options.has(value) ? value.split(" ")[0] : byName ? byName.split(" ")[0] : value;
    for (const input of [...form.elements]) if (input.name && !input.value) input.disabled = true;
  });
}

// What is on the screen comes first: the pictures of the next samples wait until it is all there.
if (mode === "one") {
  const number = begin();
  painted().then(() => end(number));
  if (document.readyState === "complete") prefetch(); else window.addEventListener("load", prefetch);
}
if (outbox.waiting.length) outbox.send(); // of a page that was left before the server had answered
