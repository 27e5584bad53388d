// Requests to the API of this origin, and their errors in words.

const KEY = "modstream.key";

/** Take the key out of the address, where it would stay in the history, and keep it for this tab. Returns whether one was there. */
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key === null) return false;
  history.replaceState(null, "", location.pathname + location.search);
  useKey(key);
  return true;
}

export const currentKey = () => sessionStorage.getItem(KEY);

export function useKey(key) {
  sessionStorage.setItem(KEY, key.trim());
}

/** What the API, or the way to it, answered instead of a result. */
export class Failure extends Error {
  constructor(status, { message, code, retryAfter = null, requestId = null }) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }

  /** Whether another key is what helps. */
  get isAccess() {
    return this.status === 401 || this.status === 403;
  }

  /** What to do, where this page knows more than the message says. */
  get advice() {
    if (this.status === 401) return "Enter a key that the service accepts.";
    if (this.status === 403) return "Use a key that has the scope.";
    if (this.retryAfter) return `Try again in ${this.retryAfter} s.`;
    if (this.status === 0) return "Check that the service runs and that this page can reach it, then try again.";
    if (this.status >= 500) return "Try again. The service's log has the cause under the request's id.";
    return "";
  }
}

/** Return the policies that the key may name. */
export const policies = async () => (await ask("v1/policies", { method: "GET" })).answer.policies;

/** Return the outcome of one image, and the id of the request. */
export async function verdict(image, choice, signal) {
  return ask("v1/verdicts", { method: "POST", signal, ...bodyOf(image, choice) });
}

function bodyOf(image, { policy, caption, tasks }) {
  if (image.url !== undefined) {
    const body = { image: { url: image.url }, tasks };
    if (policy) body.policy = policy;
    if (caption) body.caption = caption;
    return { body: JSON.stringify(body), type: "application/json" };
  }
  const body = new FormData();
  body.append("image", image.file, image.name);
  body.append("tasks", tasks.join(","));
  if (policy) body.append("policy", policy);
  if (caption) body.append("caption", caption);
  return { body };
}

async function ask(path, { method, signal, body, type }) {
  const headers = { Accept: "application/json" };
  if (currentKey()) headers.Authorization = `Bearer ${currentKey()}`;
  if (type) headers["Content-Type"] = type;
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal, credentials: "omit", cache: "no-store", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, { message: "The service does not answer.", code: "page.no_answer" });
  }
  const requestId = response.headers.get("x-request-id");
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return { answer, requestId };
  throw failureOf(response, answer, requestId);
}

function failureOf(response, answer, requestId) {
  const retryAfter = response.headers.get("retry-after");
  const message = answer?.error?.message ?? `The answer has status ${response.status} and is no answer of this API: something before the service gave it.`;
  return new Failure(response.status, { message, code: answer?.error?.code ?? "page.no_api_answer", retryAfter, requestId });
}

/** Return a curl command that asks the same. It takes the key from the environment, so that no history holds it. */
export function curlOf(image, { policy, caption, tasks }) {
  const address = new URL("v1/verdicts", document.baseURI).href;
  const lines = [`curl ${quoted(address)}`];
  if (document.body.dataset.authentication === "keys") lines.push('-H "Authorization: Bearer $KEY"');
  if (image.url !== undefined) {
    const { body } = bodyOf(image, { policy, caption, tasks });
    lines.push("-H 'Content-Type: application/json'", `--data-raw ${quoted(body)}`);
  } else {
    lines.push(`-F ${quoted(`image=@"${image.name.replaceAll(/["\\]/g, "\\$&")}"`)}`);
    lines.push(`--form-string ${quoted(`tasks=${tasks.join(",")}`)}`);
    if (policy) lines.push(`--form-string ${quoted(`policy=${policy}`)}`);
    if (caption) lines.push(`--form-string ${quoted(`caption=${caption}`)}`);
  }
  return lines.join(" \\\n  ");
}

/** Quote a text for a POSIX shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
