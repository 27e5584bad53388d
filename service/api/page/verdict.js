// One verdict as elements: decision, scores against thresholds, reasons, tags, times, and what produced it.

import { bytes, element, milliseconds, sign, words } from "./dom.js";

export const DECISIONS = ["allow", "review", "block"];
const OUTCOMES = ["label", "review", "block"];
const SHOWN_SCORES = 6;

/** Return the elements of one outcome; `policy` is what GET /v1/policies says of its policy, if anything. */
export function verdictSection(outcome, policy, heading) {
  const { verdict, tags } = outcome;
  return element(
    "section",
    { class: `verdict ${verdict.decision}`, role: "group", "aria-label": `Policy ${verdict.policy.name}` },
    decisionOf(verdict, heading),
    reasonsOf(verdict),
    viewsOf(verdict),
    scoresOf(verdict, policy),
    notCovered(verdict),
    element("div", { class: "pair" }, tags && tagsOf(tags), timesOf(verdict.timings_ms)),
    originOf(verdict),
  );
}

function decisionOf(verdict, heading) {
  return element(
    "header",
    { class: "decision" },
    element("p", { class: "policy-name" }, verdict.policy.name, element("span", { class: "soft" }, ` version ${verdict.policy.version}`)),
    element(heading, { class: "decision-word" }, sign(verdict.decision), verdict.decision),
  );
}

function reasonsOf(verdict) {
  if (verdict.status === "not_moderated" && !verdict.reasons.length)
    return element("p", { class: "reasons" }, "No model judged the image. The decision is a precaution.");
  if (!verdict.reasons.length) return element("p", { class: "reasons" }, "No score reaches a threshold of the policy.");
  return element("ul", { class: "reasons" }, verdict.reasons.map(reasonOf));
}

function reasonOf(reason) {
  const said = reason.explanation && element("blockquote", {}, reason.explanation, element("cite", {}, "the model's words"));
  return element("li", {}, words(reason.message), said);
}

function viewsOf({ views, reasons }) {
  if (views.length < 2) return null;
  const found = new Set(reasons.map(({ category }) => category));
  const entries = views.map((view) => {
    const deciding = view.categories.filter((category) => found.has(category));
    return element("li", {}, viewText(view), deciding.length > 0 && element("strong", {}, ` decides ${deciding.map(words).join(", ")}`));
  });
  return element("details", { class: "more" }, element("summary", {}, `${views.length} views judged; the worst counts`), element("ul", {}, entries));
}

function viewText({ frame, shown_ms: shown, ground, colours, part }) {
  const facts = [`frame ${frame}`];
  if (shown !== null) facts.push(`shown ${shown} ms`);
  if (ground) facts.push(`on a ${ground} ground`);
  if (colours) facts.push(`${colours} colours`);
  if (part) facts.push(`part ${part[2]} × ${part[3]} at ${part[0]}, ${part[1]}`);
  return facts.join(", ");
}

function scoresOf(verdict, policy) {
  const rows = Object.entries(verdict.scores).map(([category, score]) => ({ category, score, isKnown: Boolean(policy), rule: policy?.categories[category] ?? {} }));
  for (const row of rows) Object.assign(row, reachedBy(row, verdict));
  rows.sort((one, other) => OUTCOMES.indexOf(other.reached) - OUTCOMES.indexOf(one.reached) || other.score - one.score);
  const hints = new Set(policy?.hints ?? []);
  const made = rows.map((row) => scoreRow(row, hints.has(row.category)));
  if (!made.length) return null;
  return element("div", { class: "scores" }, scoreTable("Scores", made.slice(0, SHOWN_SCORES), policy), more(made.slice(SHOWN_SCORES)), aboutHints(rows, hints));
}

function aboutHints(rows, hints) {
  if (!rows.some(({ category }) => hints.has(category))) return null;
  return element("p", { class: "about" }, "A hint is too weak to block an image: it asks for a person at most.");
}

function more(rows) {
  if (!rows.length) return null;
  return element("details", { class: "more" }, element("summary", {}, `${rows.length} more categories`), scoreTable("Further scores", rows));
}

function scoreTable(caption, rows, policy) {
  const head = ["Category", "Score", "Reaches"].map((text, at) => element("th", { scope: "col", class: at === 2 ? "outcome" : "", colspan: at === 1 ? 2 : null }, text));
  return element(
    "table",
    {},
    element("caption", {}, element("span", {}, caption), policy && legend()),
    element("thead", { class: "unseen" }, element("tr", {}, head)),
    element("tbody", {}, rows),
  );
}

function legend() {
  const marks = OUTCOMES.map((name) => element("span", { class: "key" }, element("i", { class: `mark-${name}` }), name));
  return element("span", { class: "legend", "aria-hidden": "true" }, marks);
}

function reachedBy({ category, score, rule }, verdict) {
  const found = verdict.reasons.find((reason) => reason.category === category);
  if (found) return { reached: found.decision === "allow" ? "label" : found.decision, threshold: found.threshold };
  const reached = thresholdsOf(rule).findLast((name) => score >= rule[name]);
  return { reached, threshold: rule[reached] };
}

const thresholdsOf = (rule) => OUTCOMES.filter((name) => typeof rule[name] === "number");

function scoreRow(row, isHint) {
  const { category, score, rule, reached } = row;
  const set = thresholdsOf(rule);
  const marks = set.map((name) => element("i", { class: `mark mark-${name}`, "--at": rule[name] }));
  const zones = set.map((name) => element("i", { class: `zone zone-${name}`, "--at": rule[name] }));
  const track = element("div", { class: "track", "aria-hidden": "true" }, zones, element("i", { class: "fill", "--at": score }), marks);
  const hint = isHint && element("span", { class: "hint-chip" }, "hint");
  return element(
    "tr",
    { class: reached ? `reached reached-${reached}` : "" },
    element("th", { scope: "row" }, words(category), hint && " ", hint),
    element("td", { class: "bar" }, track),
    element("td", { class: "number" }, score.toFixed(2)),
    element("td", { class: "outcome" }, outcomeText(row)),
  );
}

function outcomeText({ isKnown, rule, reached, threshold }) {
  if (reached) return element("strong", {}, typeof threshold === "number" ? `${reached} from ${short(threshold)}` : reached);
  const [next] = thresholdsOf(rule);
  if (!next) return isKnown ? "no threshold" : element("span", { class: "unseen" }, "threshold unknown");
  return [element("span", { class: "unseen" }, "nothing; "), `${next} from ${short(rule[next])}`];
}

const short = (threshold) => threshold.toFixed(2).replace(/0$/, "");

function notCovered(verdict) {
  if (!verdict.not_covered.length) return null;
  const names = verdict.not_covered.map(words).join(", ");
  return element(
    "details",
    { class: "not-covered" },
    element("summary", {}, `${verdict.not_covered.length} categories not covered by this engine`),
    element("p", {}, `${names}. A missing score is no sign of a safe image.`),
  );
}

function tagsOf(tags) {
  const groups = Object.entries(tags.attributes).map(([name, values]) => {
    const entries = values.map((each) => element("dd", {}, each.value, element("span", { class: "soft" }, ` ${each.confidence.toFixed(2)}`)));
    return element("div", {}, element("dt", {}, words(name)), entries);
  });
  const none = groups.length ? null : element("p", { class: "soft" }, "None found.");
  return element("div", { class: "tags" }, element("p", { class: "label" }, `Tags `, element("span", { class: "soft" }, tags.attribute_schema)), none ?? element("dl", {}, groups));
}

function timesOf(timings) {
  const { total = 0, ...stages } = timings;
  const shown = Object.entries(stages).filter(([, time]) => time > 0);
  const rest = total - shown.reduce((sum, [, time]) => sum + time, 0);
  if (rest > total / 50) shown.push(["other", rest]);
  const parts = shown.map(([name, time]) => element("i", { class: `stage stage-${name}`, "--share": time }));
  const entries = shown.map(([name, time]) => element("div", {}, element("dt", {}, element("i", { class: `stage stage-${name}` }), name), element("dd", {}, milliseconds(time))));
  return element(
    "div",
    { class: "times" },
    element("p", { class: "label" }, "Time ", element("span", { class: "figure" }, `${milliseconds(total)} ms`)),
    element("div", { class: "stages", "aria-hidden": "true" }, parts),
    element("dl", {}, entries),
  );
}

function originOf(verdict) {
  const { policy, model, image } = verdict;
  const facts = [
    ["Policy", `${policy.name}, version ${policy.version}`, policy.hash],
    ["Engine", verdict.engine, null],
    ["Model", [model.name, model.adapter && `adapter ${model.adapter}`, model.precision].filter(Boolean).join(", "), model.revision],
    ...firstPassOf(verdict),
    ["File", `SHA-256`, image.sha256],
    ["Judged", `${image.frames_judged} of ${image.frames} ${image.frames === 1 ? "frame" : "frames"}`, null],
  ];
  const entries = facts.map(([name, text, code]) => element("div", {}, element("dt", {}, name), element("dd", {}, text, code && [" ", element("code", { title: code }, abbreviated(code))])));
  return element("dl", { class: "origin" }, entries);
}

function firstPassOf({ first_pass: first }) {
  if (!first) return [];
  if (first.decided) return [["First pass", "found the image harmless; no full pass", null]];
  return [["First pass", `${first.model.name} did not clear the image`, null]];
}

const abbreviated = (code) => {
  const digits = code.replace(/^sha256:/, "");
  return digits.length > 16 ? `${digits.slice(0, 12)}…` : digits;
};

/** Return the facts of an image file in one line. */
export function imageFacts({ width, height, media_type: type, bytes: size }) {
  return `${width} × ${height} · ${type.replace("image/", "").toUpperCase()} · ${bytes(size)}`;
}
