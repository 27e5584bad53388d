// Labels a sample: keeps the labels in this browser until they are saved as CSV. Every image is covered when it comes.
{
  const KEYS = "123456789qwertyuiopadfghjkl";
  const at = (id) => document.getElementById(id);
  const sample = JSON.parse(at("sample").textContent);
  const place = (name) => sample.columns.indexOf(name);
  const key = `modstream-labels-${sample.name}`;
  const root = at("labelling");
  let labels = sample.rows.map((row) => row[place("labels")]);
  let current = 0;

  // A browser may keep nothing for a file; the labels then live as long as the page.
  const stored = () => { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } };
  const store = () => { try { localStorage.setItem(key, JSON.stringify(labels)); } catch { /* as above */ } };
  const before = stored();
  if (Array.isArray(before) && before.length === labels.length) labels = before.map(String);

  const boxes = sample.categories.map((name, index) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
    box.addEventListener("change", () => set(chosen().join(" ")));
    label.append(box, name.replaceAll("_", " "));
    if (KEYS[index]) label.append(Object.assign(document.createElement("kbd"), { textContent: KEYS[index] }));
    at("categories").append(label);
    return box;
  });
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);

  const set = (value) => {
    labels[current] = value;
    store();
    show();
  };
  const go = (index) => {
    current = Math.min(Math.max(index, 0), labels.length - 1);
    at("unveil").setAttribute("aria-pressed", "false");
    show();
  };
  const answer = (value) => {
    set(value);
    go(current + 1);
  };
  const show = () => {
    const row = sample.rows[current], names = labels[current].split(/[\s,;]+/), done = labels.filter(Boolean).length;
    boxes.forEach((box) => (box.checked = names.includes(box.value)));
    at("none").setAttribute("aria-pressed", String(names.includes("none")));
    at("skip").setAttribute("aria-pressed", String(names.includes("skip")));
    at("progress").textContent = `Image ${current + 1} of ${labels.length}; ${done} are labelled`;
    at("bar").value = done / labels.length;
    at("facts").textContent = ["image_id", "tenant"].map((name) => row[place(name)].replace(/^'/, "")).join(" · ");
    const picture = sample.pictures[current];
    at("picture").hidden = !picture;
    if (picture) at("picture").src = picture;
    else at("picture").removeAttribute("src");
    at("missing").textContent = picture ? "" : sample.missing[current];
  };
  const toggle = (button) => {
    const pressed = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(pressed));
    return pressed;
  };
  const colour = () => root.classList.toggle("in-colour", toggle(at("colour")));
  const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const csv = () => {
    const rows = sample.rows.map((row, index) => row.with(place("labels"), labels[index]));
    return [sample.columns, ...rows].map((row) => row.map(quoted).join(",") + "\n").join("");
  };
  const save = () => {
    const url = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    Object.assign(document.createElement("a"), { href: url, download: "labelled.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };

  const actions = {
    n: () => answer("none"), s: () => answer("skip"), c: colour, " ": () => toggle(at("unveil")),
    Enter: () => go(current + 1), ArrowRight: () => go(current + 1), ArrowLeft: () => go(current - 1),
    Escape: () => at("unveil").setAttribute("aria-pressed", "false"),
  };
  document.addEventListener("keydown", (event) => {
    const own = event.target.closest("button, a, input");
    if (event.ctrlKey || event.metaKey || event.altKey || !at("keys").checked) return;
    if (own && (event.key === " " || event.key === "Enter")) return; // the control's own
    const box = boxes[event.key.length === 1 ? KEYS.indexOf(event.key) : -1];
    if (box) {
      box.checked = !box.checked;
      set(chosen().join(" "));
    } else if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });
  at("unveil").addEventListener("click", () => toggle(at("unveil")));
  at("colour").addEventListener("click", colour);
  at("back").addEventListener("click", () => go(current - 1));
  at("next").addEventListener("click", () => go(current + 1));
  at("none").addEventListener("click", () => answer("none"));
  at("skip").addEventListener("click", () => answer("skip"));
  at("save").addEventListener("click", save);
  root.hidden = false;
  go(Math.max(labels.indexOf(""), 0));
}
