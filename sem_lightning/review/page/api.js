// Requests to sem-review. Every refusal is an error whose message is one line for the person at the page.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const storedKey = "sem-review-key";
let key = sessionStorage.getItem(storedKey) || "";

export function useKey(given) {
  key = given;
  sessionStorage.setItem(storedKey, given);
}

async function ask(path, options = {}) {
  const headers = {...options.headers, ...(key ? {Authorization: "Bearer " + key} : {})};
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
