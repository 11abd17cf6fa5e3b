// Requests to sem-review. Every refusal is an error whose message is one line for the person at the page.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map(each => each.toString(16).padStart(2, "0")).join("");
export const browser = sessionStorage.getItem("sem-review-tab") || random();
sessionStorage.setItem("sem-review-tab", browser);

const storedKey = "sem-review-key";
let key = sessionStorage.getItem(storedKey) || "";

export function useKey(given) {
  key = given;
  sessionStorage.setItem(storedKey, given);
}

// Numbers name images, so that requests must not reach a server that was started again with other images.
let session = "";

export function useSession(identity) {
  session = identity;
}

async function ask(path, options = {}) {
  const headers = {...options.headers};
  if (key) headers.Authorization = "Bearer " + key;
  if (session) headers["Sem-Review-Session"] = session;
  let response;
  try {
    response = await fetch("api/" + path, {...options, headers});
  } catch {
    throw new Refused(0, "sem-review does not answer; is it still running?");
  }
  if (!response.ok) {
    const found = await response.json().catch(() => ({}));
    throw new Refused(response.status, found.error || "refused with status " + response.status);
  }
  return response;
}

export async function get(path, query = {}) {
  return (await ask(path + "?" + new URLSearchParams(query))).json();
}

export async function post(path, content) {
  const body = JSON.stringify(content);
  return (await ask(path, {method: "POST", body, headers: {"Content-Type": "application/json"}})).json();
}

export async function picture(path) {
  return createImageBitmap(await (await ask(path)).blob());
}
