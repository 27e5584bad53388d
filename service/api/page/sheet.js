// One image with what came back for it: its picture, covered until it is known to be harmless, verdicts or an error.

import { curlOf, Failure, verdict as askVerdict } from "./requests.js";
import { element, sign, words } from "./dom.js";
import { DECISIONS, imageFacts, verdictSection } from "./verdict.js";

let number = 0;

/** One image on the page. `image` is {name, file} or {name, url}. */
export class Sheet {
  constructor(image, { policyNamed, onRemove, onAgain, onAccess }) {
    this.image = image;
    this.state = "waiting"; // waiting, judging, done, failed
    this.decision = null;
    this._policyNamed = policyNamed;
    this._onAccess = onAccess;
    this._id = `sheet-${(number += 1)}`;
    this._facts = element("p", { class: "facts" });
    this._body = element("div", { class: "outcome-area" }, element("p", { class: "pending" }, "Waiting"));
    this._more = element("div", { class: "disclosures" });
    this._picture = new Picture(image);
    const again = element("button", { type: "button", class: "quiet", "aria-label": `Judge again: ${image.name}`, onclick: () => onAgain(this) }, "Judge again");
    const remove = element("button", { type: "button", class: "quiet", "aria-label": `Remove: ${image.name}`, onclick: () => onRemove(this) }, "Remove");
    this.title = element("h3", { id: this._id, tabindex: "-1" }, image.name);
    this.element = element(
      "li",
      { class: "sheet" },
      element(
        "article",
        { "aria-labelledby": this._id },
        element("header", { class: "sheet-head" }, element("div", {}, this.title, this._facts), element("div", { class: "tools" }, again, remove)),
        element("div", { class: "sheet-body" }, this._picture.element, this._body),
        this._more,
      ),
    );
  }

  /** Ask for one verdict, or for two to compare; resolves when the sheet shows the result. */
  async judge(choice) {
    this.stop();
    this._stop = new AbortController();
    const { signal } = this._stop;
    this._begin(choice);
    try {
      const asked = choice.policies.map((policy) => askVerdict(this.image, { ...choice, policy, tasks: choice.tasksFor(policy) }, signal));
      const results = await Promise.all(asked);
      if (!signal.aborted) this._show(results, choice);
    } catch (error) {
      if (!signal.aborted) this._fail(error, choice);
    }
  }

  /** Mark it as waiting for its turn. */
  wait() {
    this.stop();
    this.state = "waiting";
    this.decision = null;
    this.element.removeAttribute("data-decision");
    this._picture.cover();
    this._body.replaceChildren(element("p", { class: "pending" }, "Waiting"));
    this._more.replaceChildren();
  }

  stop() {
    this._stop?.abort();
  }

  /** Give back what the browser holds for it. */
  dispose() {
    this.stop();
    this._picture.dispose();
    this.element.remove();
  }

  /** What a screen reader hears of it. */
  get spoken() {
    return `${this.image.name}: ${this.state === "failed" ? `not judged, ${words(this.reason)}` : this.summary}`;
  }

  _begin(choice) {
    this.state = "judging";
    this.decision = null;
    this.element.removeAttribute("data-decision");
    this.element.setAttribute("aria-busy", "true");
    this._picture.cover();
    this._facts.replaceChildren(...(choice.caption ? [element("span", {}, `“${choice.caption}”`)] : []));
    this._body.replaceChildren(element("p", { class: "pending working" }, "Judging"));
    this._more.replaceChildren();
  }

  _show(results, choice) {
    const outcomes = results.map((each) => each.answer);
    const verdicts = outcomes.map((each) => each.verdict);
    this.state = "done";
    this.decision = gravest(verdicts);
    this.summary = verdicts.map((each) => `${each.decision} by ${each.policy.name}`).join(", ");
    this._end(this.decision);
    this._facts.prepend(imageFacts(verdicts[0].image), ...(choice.caption ? [" · "] : []));
    const sections = outcomes.map((each) => verdictSection(each, this._policyNamed(each.verdict.policy), "h4"));
    const differ = new Set(verdicts.map((each) => each.decision)).size > 1;
    const note = verdicts.length > 1 && element("p", { class: "comparison" }, comparison(verdicts, differ));
    this._body.replaceChildren(...[note, element("div", { class: `verdicts of-${sections.length}` }, sections)].filter(Boolean));
    this._picture.judged(this.decision);
    this._more.replaceChildren(curl(this.image, choice), json(outcomes, results.map((each) => each.requestId)));
  }

  _fail(error, choice) {
    const failure = error instanceof Failure ? error : new Failure(0, { message: String(error), code: "page.defect" });
    this.state = "failed";
    this.reason = failure.code;
    this._end("error");
    this._body.replaceChildren(problem(failure));
    this._picture.judged("error");
    this._more.replaceChildren(curl(this.image, choice));
    this.lacksAccess = failure.isAccess;
    if (failure.isAccess) this._onAccess(failure);
  }

  _end(decision) {
    this.element.dataset.decision = decision;
    this.element.removeAttribute("aria-busy");
  }
}

const gravest = (verdicts) => DECISIONS[Math.max(...verdicts.map((each) => DECISIONS.indexOf(each.decision)))] ?? "review";

function comparison(verdicts, differ) {
  const parts = verdicts.map((each) => `${each.policy.name} says ${each.decision}`);
  return differ ? `The policies differ: ${parts.join(", ")}.` : `Both policies say ${verdicts[0].decision}.`;
}

function problem(failure) {
  return element(
    "div",
    { class: "failure" },
    element("h4", { class: "decision-word" }, sign("error"), "Not judged"),
    element("p", {}, failure.message),
    failure.advice && element("p", {}, failure.advice),
    element("p", { class: "soft" }, element("code", {}, failure.code), failure.requestId && [" · request ", element("code", {}, failure.requestId)]),
  );
}

function curl(image, choice) {
  const commands = choice.policies.map((policy) => curlOf(image, { ...choice, policy, tasks: choice.tasksFor(policy) })).join("\n\n");
  const text = element("pre", { tabindex: "0", role: "group", "aria-label": "curl command" }, commands);
  return element("details", {}, element("summary", {}, "curl"), copyButton("Copy as curl", commands, text), text);
}

function json(outcomes, requestIds) {
  const text = JSON.stringify(outcomes.length === 1 ? outcomes[0] : outcomes, null, 2);
  const shown = element("pre", { tabindex: "0", role: "group", "aria-label": "JSON" }, text);
  const ids = element("p", { class: "soft" }, `request ${requestIds.filter(Boolean).join(", ")}`);
  return element("details", {}, element("summary", {}, "Raw JSON"), copyButton("Copy JSON", text, shown), shown, ids);
}

function copyButton(label, text, shown) {
  const button = element("button", { type: "button", class: "quiet copy" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(shown); // pages without TLS have no clipboard
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => (button.textContent = label), 2500);
  });
  return button;
}

/** The picture of an image. CSS covers it unless it has the class `clear`, so that it is never shown for a moment first. */
class Picture {
  constructor({ name, file }) {
    this._name = name;
    this._why = element("span", { class: "why" });
    this._toggle = element("button", { type: "button", class: "reveal", hidden: true, onclick: () => this._set(!this._isClear) });
    this._image = file && this._load(file);
    const away = !file && element("p", { class: "no-picture" }, "Not shown: the service fetches this image, and this page loads nothing from other hosts.");
    this.element = element("figure", { class: "picture" }, element("div", { class: "frame" }, this._image ?? away), element("figcaption", {}, this._why, this._toggle));
    this.cover();
  }

  _load(file) {
    this._address = URL.createObjectURL(file);
    const unreadable = () => {
      this._image.replaceWith(element("p", { class: "no-picture" }, "This browser cannot show the file."));
      this._image = null;
      this._toggle.hidden = true;
    };
    return element("img", { src: this._address, onerror: unreadable, decoding: "async", draggable: "false" });
  }

  cover() {
    this._toggle.hidden = true;
    this._why.textContent = "";
    this._set(false);
  }

  /** Show what a policy allows; leave everything else covered, with a control. */
  judged(decision) {
    this._toggle.hidden = decision === "allow" || !this._image;
    this._why.textContent = decision === "allow" || !this._image ? "" : decision === "error" ? "Not judged" : words(decision);
    this._set(decision === "allow");
  }

  dispose() {
    if (this._address) URL.revokeObjectURL(this._address);
  }

  _set(clear) {
    this._isClear = clear;
    this.element.classList.toggle("clear", clear);
    this._image?.setAttribute("alt", clear ? this._name : `${this._name}, blurred`);
    this._toggle.textContent = clear ? "Blur again" : "Show image";
    this._toggle.setAttribute("aria-label", `${this._toggle.textContent}: ${this._name}`);
  }
}
