"use strict";
// Keys, the next sample at once, and verdicts that count as saved only after the server has answered.
(() => {
  const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";
  const queue = document.getElementById("queue");
  const status = document.getElementById("status");
  const failed = document.getElementById("failed");
  const help = document.getElementById("help");
  const relabel = document.getElementById("relabel");
  const mode = queue?.dataset.mode ?? "";
  const parts = new Map(); // address of a sample → promise of its HTML
  const pictures = new Map(); // so that prefetched pictures are not thrown away; oldest first
  const waiting = []; // verdicts that the server has not answered yet, oldest first
  const KEPT = 60;
  let sending = false;
  let broken = false;

  const say = (text) => { status.textContent = text; };
  const sample = () => document.getElementById("sample");
  const addressOf = (id) => `/queue/${queue.dataset.queue}/${id}${location.search}`;

  for (const element of document.querySelectorAll("#help-button")) element.hidden = false;
  document.documentElement.classList.add("scripted");
  if (matchMedia("(min-width: 56rem)").matches) for (const e of document.querySelectorAll("[data-open-if-wide]")) e.open = true;
  const wake = (root) => { for (const e of root.querySelectorAll(".needs-script")) e.hidden = false; };
  wake(document);

  // ---- talking to the server

  async function post(path, fields) {
    const answer = await fetch(path, {
      method: "POST",
      headers: { Accept: "application/json", "X-CSRF-Token": csrf },
      body: new URLSearchParams(fields),
      credentials: "same-origin",
    });
    let result;
    try { result = await answer.json(); } catch { result = { saved: false, error: `the server said ${answer.status}` }; }
    if (!result.saved) throw Object.assign(new Error(result.error), { refused: answer.status < 500 });
    return result;
  }

  function showProgress(result) {
    const meter = document.querySelector("#queue .meter");
    if (!meter) return;
    meter.querySelector("progress").value = result.decided;
    meter.querySelector(".done").textContent = result.decided.toLocaleString("en");
    meter.querySelector(".of").textContent = result.total.toLocaleString("en");
  }

  // One after the other, in the order of the keys: the log keeps that order.
  async function send() {
    if (sending || broken) return;
    sending = true;
    while (waiting.length) {
      const job = waiting[0];
      try {
        const result = await post(job.path, job.fields);
        waiting.shift();
        parts.delete(addressOf(result.finding_id));
        showProgress(result);
        job.done(result);
      } catch (error) {
        broken = true;
        document.getElementById("failed-text").textContent =
          `NOT saved: ${waiting.length} verdict${waiting.length > 1 ? "s" : ""} (${error.message}).`;
        failed.hidden = false;
        say("");
        if (error.refused) { waiting.shift(); failed.dataset.refused = "1"; }
        break;
      }
    }
    sending = false;
  }

  document.getElementById("retry").addEventListener("click", () => {
    if (failed.dataset.refused && !waiting.length) { location.reload(); return; }
    delete failed.dataset.refused;
    failed.hidden = true;
    broken = false;
    say("saving…");
    send();
  });
  window.addEventListener("beforeunload", (event) => { if (waiting.length) event.preventDefault(); });

  function enqueue(path, fields, done) {
    waiting.push({ path, fields, done });
    if (!broken) say("saving…");
    return send();
  }

  // ---- samples, one by one

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
    let html;
    try { html = await part(id); } catch (error) { say(`not loaded: ${error.message}`); return; }
    const fragment = new DOMParser().parseFromString(html, "text/html");
    const place = document.getElementById("sample-place");
    place.replaceChildren(...fragment.body.childNodes);
    wake(place);
    if (push) history.pushState({ id }, "", addressOf(id));
    document.getElementById("sample-title").focus({ preventScroll: true });
    scrollTo(0, 0);
    prefetch();
  }

  function step(name) {
    const link = sample()?.dataset[name]?.split(" ")[0];
    if (link) show(link);
    else say(name === "before" ? "this is the first one" : "this is the last one");
  }

  // ---- deciding

  const words = (result) => `saved: ${result.verdict}${result.name ? ` to ${result.name}` : ""}`;

  function decide(target, verdict, relabelTo) {
    const id = target.dataset.finding;
    const fields = { finding_id: id, verdict, queue: queue.dataset.queue };
    if (relabelTo !== undefined) fields.relabel_to = relabelTo;
    parts.delete(addressOf(id));
    const saved = enqueue("/verdict", fields, (result) => {
      say(words(result));
      if (mode === "grid") mark(target, result.verdict);
      else if (last && !waiting.length) location.assign(queue.dataset.grid);
    });
    const last = mode === "one" && !sample().dataset.behind;
    if (mode === "one" && !last) step("behind");
    return saved;
  }

  function mark(card, verdict) {
    card.classList.remove("is-ok", "is-drop", "is-relabel", "is-unsure");
    if (verdict) card.classList.add(`is-${verdict}`);
    card.querySelector(".verdict").textContent = verdict;
  }

  function undo() {
    enqueue("/undo", { queue: queue.dataset.queue }, (result) => {
      say(`taken back: ${result.verdict}`);
      if (mode === "grid") {
        const card = document.querySelector(`.finding[data-finding="${result.finding_id}"]`);
        if (card) { mark(card, ""); card.querySelector("a").focus(); } else location.reload();
      } else if (result.queue !== queue.dataset.queue) {
        location.assign(`/queue/${result.queue}/${result.finding_id}`);
      } else show(String(result.finding_id));
    });
  }

  // ---- relabelling

  const options = new Set([...document.querySelectorAll("#classes option")].map((o) => o.value));
  const ids = new Set([...options].map((o) => o.split(" ")[0]));
  let relabelled = null;

  function askClass(target) {
    relabelled = target;
    const field = document.getElementById("relabel-to");
    field.value = target.dataset.suggestion ?? "";
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
    decide(relabelled, "relabel", chosen);
  });

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
      return;
    }
    if (event.target.closest?.("input, select, textarea")) return;
    const key = letter(event);
    const grid = mode === "grid";
    if (key === "?") help.showModal();
    else if (!queue) return;
    else if (verdicts[key] && !event.repeat) {
      const at = target();
      if (!at) { say("choose a finding first: arrow keys"); return; }
      decide(at, verdicts[key]);
      if (grid) move(1);
    } else if (key === "r" && !event.repeat) {
      const at = target();
      if (at) askClass(at); else say("choose a finding first: arrow keys");
    } else if (key === "z" && !event.repeat) undo();
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
    else if (mode === "one" && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      const link = event.target.closest(".steps a");
      if (link) { event.preventDefault(); step(link.rel === "prev" ? "before" : "behind"); }
    }
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
  if (mode === "one") { if (document.readyState === "complete") prefetch(); else window.addEventListener("load", prefetch); }
})();
