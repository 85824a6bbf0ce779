// Verdicts on their way: sent one after the other, kept in this tab until the server says that they are saved.
const STORE = "healtheat-outbox";
const NEVER = [404, 409, 422]; // what the server says of one verdict that it can never save
const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export class Outbox {
  // `saved(job, result)` is called for each answer, `changed()` whenever what waits or what went wrong did.
  constructor({ saved, changed }) {
    this.csrf = meta("csrf");
    this.build = meta("build");
    this.saved = saved;
    this.changed = changed;
    this.trouble = null; // { why, todo }: nothing is sent until somebody tries again
    this.refused = []; // sentences about what can never be saved
    this.sending = false;
    try { this.waiting = JSON.parse(sessionStorage.getItem(STORE) ?? "[]"); } catch { this.waiting = []; }
    for (const job of this.waiting) job.restored = true;
  }

  keep() {
    try {
      if (this.waiting.length) sessionStorage.setItem(STORE, JSON.stringify(this.waiting));
      else sessionStorage.removeItem(STORE);
    } catch { /* no room or not allowed: they are still in memory */ }
  }

  // `title` is what a person would call it; `fields` is the form.
  add(path, fields, title) {
    this.waiting.push({ path, fields: { ...fields, build: this.build }, title });
    this.keep();
    this.changed();
    this.send();
  }

  // Takes the last one out again if it was never sent; else the server has to take it back.
  takeOut() {
    const last = this.waiting.at(-1);
    if (!last || last.path === "/undo" || last.sent) return null;
    this.waiting.pop();
    if (!this.waiting.length) this.trouble = null;
    this.keep();
    this.changed();
    return last;
  }

  async retry() {
    this.trouble = null;
    this.refused = [];
    await this.send();
    this.changed();
  }

  // One after the other, in the order of the keys: the log keeps that order.
  async send() {
    if (this.sending || this.trouble) return;
    this.sending = true;
    let renewed = false;
    while (this.waiting.length) {
      const job = this.waiting[0];
      const fields = job.sent ? { ...job.fields, again: "1" } : job.fields;
      job.sent = true;
      this.keep();
      const { status, result } = await this.post(job.path, fields);
      if (result?.saved) {
        this.drop(job);
        this.saved(job, result);
      } else if (result?.saved === false && NEVER.includes(status)) {
        this.drop(job);
        this.refused.push(`${job.title}: ${result.error}`);
      } else if (status === 403 && !renewed && await this.renew()) {
        renewed = true; // the page was of an earlier run of the server: now it holds this run's token
        continue;
      } else if (job.path === "/undo" && (!status || status >= 500)) {
        // Sent twice it could take back two, so a person has to look.
        this.drop(job);
        this.refused.push("It is not known whether the last verdict was taken back: look at it before z again");
        if (this.waiting.length) this.trouble = trouble(status, result);
      } else this.trouble = trouble(status, result);
      if (this.trouble) break;
      this.changed();
      renewed = false;
    }
    this.sending = false;
    this.changed();
  }

  drop(job) {
    this.waiting.splice(this.waiting.indexOf(job), 1);
    this.keep();
  }

  async post(path, fields) {
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { Accept: "application/json", "X-CSRF-Token": this.csrf },
        body: new URLSearchParams(fields),
        credentials: "same-origin",
      });
      let result = null;
      try { result = await answer.json(); } catch { /* no answer of ours: its status says enough */ }
      return { status: answer.status, result };
    } catch {
      return { status: 0, result: null };
    }
  }

  async renew() {
    try {
      const answer = await fetch("/session", { credentials: "same-origin" });
      if (!answer.ok) return false;
      const { csrf } = await answer.json();
      const fresh = csrf !== this.csrf;
      this.csrf = csrf;
      return fresh;
    } catch {
      return false;
    }
  }
}

function trouble(status, result) {
  if (!status) return { why: "the server does not answer", todo: "Start it again if it was stopped, then try again." };
  if (status === 401) {
    return {
      why: "the server was started again",
      todo: "Open the address that it printed in another tab of this browser, then come back and try again.",
    };
  }
  return { why: result?.error ?? `the server said ${status}`, todo: "Fix that, then try again." };
}
