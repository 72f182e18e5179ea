// Asks the API. The cookie that says who asks is the browser's business; no script sees it.
import { leave } from "./session.js";

export class Failure extends Error {
  constructor(status, message, advice) {
    super(message);
    Object.assign(this, { status, advice });
  }
}

export function ask(path, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, text]) => text !== "" && text != null);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  return send(path + query, { signal });
}

// The header says that it is a script of this page that asks; see functions/authorizer/app.py for what it may.
export function change(method, path, body) {
  const headers = { "content-type": "application/json", "x-mailwake-console": "1" };
  return send(path, { method, headers, body: JSON.stringify(body) });
}

async function send(target, options) {
  let response;
  try {
    response = await fetch(target, { cache: "no-store", ...options, headers: { accept: "application/json", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "The server can't be reached.", "Is this computer online? Then try again.");
  }
  if (response.status === 401) {
    leave();
    return new Promise(() => {});
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  const told = body?.errors?.[0];
  throw new Failure(
    response.status,
    told?.message ?? "The server did not answer as it should.",
    told?.description || (response.status >= 500 ? "Try again in a minute." : ""),
  );
}

export const paths = {
  recipient: (address) => `/api/v1/recipients/${encodeURIComponent(address)}`,
  message: (id) => `/api/v1/messages/${encodeURIComponent(id)}`,
  event: (key) => `/api/v1/events/${encodeURIComponent(key)}`,
  search: "/api/v1/events/message",
  metrics: "/api/v1/metrics",
  usage: "/api/v1/usage",
  retention: "/api/v1/usage/retention",
  samples: "/api/v1/samples",
  cohorts: "/api/v1/cohorts",
  cohort: (name) => `/api/v1/cohorts/${encodeURIComponent(name)}`,
  members: (name) => `/api/v1/cohorts/${encodeURIComponent(name)}/members`,
  transitions: (name) => `/api/v1/cohorts/${encodeURIComponent(name)}/transitions`,
  mail: "/api/v1/mail",
  waiting: "/api/v1/mail/waiting",
  notifications: "/api/v1/notifications",
  notification: (name) => `/api/v1/notifications/${encodeURIComponent(name)}`,
  deliveries: "/api/v1/deliveries",
  suppressions: "/api/v1/suppressions",
  templates: "/api/v1/templates",
  template: (name) => `/api/v1/templates/${encodeURIComponent(name)}`,
  preview: (name) => `/api/v1/templates/${encodeURIComponent(name)}/preview`,
  effect: (of, name) => `/api/v1/${of}s/${encodeURIComponent(name)}/effect`,
  batches: "/api/v1/batches",
  quarantine: "/api/v1/quarantine",
};
