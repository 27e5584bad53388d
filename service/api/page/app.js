// The page's state: images, policies, the key.

import { currentKey, Failure, policies as askPolicies, takeKeyFromAddress, useKey } from "./requests.js";
import { element, sign } from "./dom.js";
import { DECISIONS } from "./verdict.js";
import { Sheet } from "./sheet.js";

const AT_ONCE = 4; // so that one tab leaves the service room for others
const find = (id) => document.getElementById(id);

let known = []; // policies
let sheets = [];
const queue = [];
let running = 0;

// Access

const needsKey = () => document.body.dataset.authentication === "keys";

function showAccess(failure, { focus = false } = {}) {
  find("access").hidden = false;
  find("key-error").textContent = failure ? failure.message : "";
  if (focus) find("key").focus();
}

async function enter() {
  find("key-change").hidden = !needsKey();
  if (needsKey() && !currentKey()) return showAccess(null);
  try {
    known = await askPolicies();
    find("access").hidden = true;
    find("policies-error").textContent = "";
    fillPolicies();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.status === 401) showAccess(error);
    else find("policies-error").textContent = `The policies cannot be listed, so thresholds are not shown. ${error.message} ${error.advice}`;
  }
}

find("access").addEventListener("submit", async (event) => {
  event.preventDefault();
  useKey(find("key").value);
  find("key").value = "";
  await enter();
  if (!find("access").hidden) return;
  find("files").focus();
  const refused = sheets.filter((sheet) => sheet.state === "failed" && sheet.lacksAccess);
  if (refused.length) judge(refused);
});
find("key-change").addEventListener("click", () => showAccess(null, { focus: true }));
addEventListener("hashchange", () => takeKeyFromAddress() && enter());

// Policies

function fillPolicies() {
  const ordered = [...known].sort((one, other) => other.is_default - one.is_default || one.name.localeCompare(other.name));
  const options = () => ordered.map((each) => element("option", { value: each.name }, each.name));
  keepChoice(find("policy"), options());
  keepChoice(find("other"), [element("option", { value: "" }, "None"), ...options()]);
  find("other").disabled = ordered.length < 2;
  aboutPolicy();
}

function aboutPolicy() {
  find("about-policy").textContent = known.find((each) => each.name === find("policy").value)?.description ?? "";
}

function keepChoice(select, options) {
  const before = select.value;
  select.replaceChildren(...options);
  if (options.some((option) => option.value === before)) select.value = before;
}

find("policy").addEventListener("change", aboutPolicy);

const policyNamed = ({ name, hash }) => known.find((each) => each.name === name && each.hash === hash);

/** What the form says now. A sheet keeps it, so that its curl command is what was asked. */
function choice() {
  const policies = [find("policy").value];
  if (find("other").value && find("other").value !== policies[0]) policies.push(find("other").value);
  const tags = find("tags").checked;
  const hasTags = (policy) => known.find((each) => (policy ? each.name === policy : each.is_default))?.tags;
  return { policies, caption: find("caption").value.trim(), tasksFor: (policy) => (tags && hasTags(policy) ? ["moderation", "tags"] : ["moderation"]) };
}

// Images

function add(images) {
  if (!images.length) return;
  const first = find("sheets").firstChild;
  const added = images.map((image) => new Sheet(image, { policyNamed, onRemove: remove, onAgain: (sheet) => judge([sheet]), onAccess: showAccess }));
  for (const sheet of added) find("sheets").insertBefore(sheet.element, first);
  sheets = [...added, ...sheets];
  judge(added);
}

const named = (file) => ({ name: file.name || "pasted image", file });

function judge(some) {
  const asked = choice();
  for (const sheet of some) {
    sheet.wait();
    Object.assign(sheet, { asked, batch: some });
    queue.push(sheet);
  }
  say(some.length === 1 ? `Judging ${some[0].image.name}` : `Judging ${some.length} images`);
  refresh();
  while (running < AT_ONCE && queue.length) work();
}

async function work() {
  running += 1;
  while (queue.length) {
    const sheet = queue.shift();
    if (sheet.state !== "waiting") continue; // removed, or judged by an earlier entry
    await sheet.judge(sheet.asked);
    refresh();
    announce(sheet.batch);
  }
  running -= 1;
}

function announce(batch) {
  if (!batch.every(isFinished)) return;
  const present = batch.filter((sheet) => sheets.includes(sheet));
  if (present.length <= 3) say(present.map((sheet) => sheet.spoken).join(". "));
  else say(`${present.length} images judged: ${countsOf(present).map(({ text }) => text).join(", ")}`);
}

function remove(sheet) {
  const at = sheets.indexOf(sheet);
  sheets = sheets.filter((each) => each !== sheet);
  sheet.state = "removed";
  sheet.dispose();
  refresh();
  (sheets[Math.min(at, sheets.length - 1)]?.title ?? find("files")).focus();
}

const isFinished = (sheet) => sheet.state !== "waiting" && sheet.state !== "judging";

function countsOf(some) {
  const counts = DECISIONS.map((kind) => ({ kind, count: some.filter((each) => each.decision === kind).length, name: kind }));
  counts.push({ kind: "error", count: some.filter((each) => each.state === "failed").length, name: "not judged" });
  return counts.filter(({ count }) => count).map(({ kind, count, name }) => ({ kind, text: `${count} ${name}` }));
}

function refresh() {
  const finished = sheets.filter(isFinished).length;
  const isBusy = finished < sheets.length;
  find("results").hidden = !sheets.length;
  document.body.classList.toggle("has-results", sheets.length > 0);
  find("progress").hidden = !isBusy;
  find("progress").max = Math.max(1, sheets.length);
  find("progress").value = finished;
  const counts = countsOf(sheets).map(({ text, kind }) => element("span", { class: `count ${kind}` }, sign(kind), text));
  find("counts").replaceChildren(...(isBusy ? [`${finished} of ${sheets.length} judged`] : counts));
  find("again").hidden = find("clear").hidden = sheets.length < 2;
}

function say(text) {
  find("live").textContent = text;
}

find("files").addEventListener("change", (event) => {
  add([...event.target.files].map(named));
  event.target.value = ""; // so that the same file can be chosen again
});
find("by-url").addEventListener("submit", (event) => {
  event.preventDefault();
  const url = find("url").value.trim();
  find("url-error").textContent = url ? "" : "Enter the URL of an image.";
  if (!url) return find("url").focus();
  add([{ name: url, url }]);
  find("url").value = "";
});
find("again").addEventListener("click", () => judge([...sheets]));
find("clear").addEventListener("click", () => {
  for (const sheet of sheets) {
    sheet.state = "removed";
    sheet.dispose();
  }
  sheets = [];
  refresh();
  find("files").focus();
});

// Dropping and pasting, anywhere on the page

let depth = 0;
const veil = (shown) => (find("veil").hidden = !shown);
const hasImages = ({ types }) => types.includes("Files") || types.includes("text/uri-list");

addEventListener("dragenter", (event) => {
  if (!hasImages(event.dataTransfer)) return;
  event.preventDefault();
  depth += 1;
  veil(true);
});
addEventListener("dragover", (event) => hasImages(event.dataTransfer) && event.preventDefault());
addEventListener("dragleave", () => {
  depth = Math.max(0, depth - 1);
  if (!depth) veil(false);
});
addEventListener("drop", (event) => {
  depth = 0;
  veil(false);
  if (!hasImages(event.dataTransfer)) return;
  event.preventDefault();
  take(event.dataTransfer);
});
addEventListener("paste", (event) => {
  const isTyping = event.target instanceof Element && event.target.matches("input:not([type=file]), textarea");
  if (isTyping && !event.clipboardData.files.length) return;
  take(event.clipboardData);
});

function take(transfer) {
  if (transfer.files.length) return add([...transfer.files].map(named));
  const text = (transfer.getData("text/uri-list") || transfer.getData("text/plain")).trim().split(/\s/)[0];
  if (/^(https?|s3):\/\//.test(text)) add([{ name: text, url: text }]);
}

// Theme

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : dark.matches);
const showTheme = () => find("theme").setAttribute("aria-pressed", String(isDark()));
dark.addEventListener("change", showTheme);
find("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("modstream.theme", theme);
  showTheme();
});
showTheme();

takeKeyFromAddress();
enter();
