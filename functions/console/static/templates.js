// Templates of mails to members: their versions, what one looks like with somebody's data, and what they did.
import { ask, change, paths } from "./api.js";
import { html, useEffect, useRef } from "./dom.js";
import { Effect } from "./effect.js";
import { Facts, Heading, Loading, Nothing, Share, Text, Time, Trouble, useLoaded } from "./parts.js";
import { link, narrow } from "./place.js";
import { may, Views } from "./telling.js";
import { plural } from "./words.js";

export function Templates({ view, value: name, parameters, session }) {
  return name ? html`<${One} name=${name} view=${view} parameters=${parameters} mayPreview=${may(session, "cohorts:write")} />` : html`<${List} view=${view} />`;
}

function List({ view }) {
  const { found, failure, again } = useLoaded((signal) => ask(paths.templates, {}, signal), "templates");
  return html`<div class="title"><${Heading} title="Templates" /><span><${Share} /></span></div>
    <${Views} view=${view} />
    <p>What is mailed to members of cohorts.</p>
    ${failure ? html`<${Trouble} failure=${failure} again=${again} />`
      : !found ? html`<${Loading} what="templates" />`
      : !found.results.length ? html`<${Nothing} title="There is no template yet."><p>Templates are files in the folder <code>email_templates</code>; a command applies them.</p></${Nothing}>`
      : html`<ol class="results">${found.results.map((each) => html`<li key=${each.name}>
          <p><strong><a href=${link("templates", each.name)}>${each.name}</a></strong> ${each.subject}</p>
          <p class="about"><span>version ${each.version}</span> <span>topic ${each.topic}</span> <span>made <${Time} at=${each.created_at} /></span></p>
        </li>`)}</ol>`}`;
}

function One({ name, view, parameters, mayPreview }) {
  const { found, failure, again } = useLoaded((signal) => ask(paths.template(name), {}, signal), name);
  const heading = html`<div class="title"><${Heading} title=${name} /><span><${Share} /></span></div><${Views} view=${view} />`;
  if (failure?.status === 404) {
    return html`${heading}<${Nothing} title="There is no such template."><p>Look through <a href="#/templates">all of them</a>.</p></${Nothing}>`;
  }
  if (failure) return html`${heading}<${Trouble} failure=${failure} again=${again} />`;
  if (!found) return html`${heading}<${Loading} what="the template" />`;
  const template = found.results;
  return html`${heading}
    <${Facts} rows=${[
      ["Subject", template.subject],
      ["Topic", template.topic],
      ["Answers go to", template.reply_to],
      ["Sent by", template.notifications.length ? template.notifications.map((each) => html`<a key=${each} href=${link("notifications", each)}>${each}</a> `) : "no notification"],
      ["Newest version", template.version],
      ["Made", html`<${Time} at=${template.created_at} />`],
    ]} />
    <${Versions} versions=${template.versions} />
    <${Effect} of="template" name=${name} parameters=${parameters} />
    ${mayPreview ? html`<${Preview} name=${name} user=${parameters.user ?? ""} />`
      : html`<p class="hint">Who signs in with the scope <code>cohorts:write</code> sees here what somebody would get.</p>`}`;
}

function Versions({ versions }) {
  return html`<details><summary>${plural(versions.length, "version")}</summary>
    <ol class="results">${versions.map((each) => html`<li key=${each.version}>
      <p class="about"><strong>Version ${each.version}</strong> <span>made by ${each.created_by}</span> <${Time} at=${each.created_at} /></p>
      <p>${each.subject}</p>
    </li>`)}</ol>
  </details>`;
}

function Preview({ name, user }) {
  return html`<section aria-labelledby="preview"><h2 id="preview">Preview</h2>
    <div class="filters">
      <${Text} label="With the data of the user" value=${user} placeholder="an id or an address" onChange=${(one) => narrow({ user: one })} />
    </div>
    ${user ? html`<${Mail} name=${name} user=${user} />` : html`<p class="hint">Choose somebody: nothing is sent.</p>`}
  </section>`;
}

function Mail({ name, user }) {
  const { found, failure, again } = useLoaded(() => change("POST", paths.preview(name), { user }), `${name} ${user}`);
  if (failure) return html`<${Trouble} failure=${failure} again=${again} />`;
  if (!found) return html`<${Loading} what="the mail" />`;
  const { subject, html: page, text } = found.results;
  return html`<div class="message">
    <h3>${subject}</h3>
    <${Framed} page=${page} />
    <details><summary>Text<span class="hidden"> of the mail</span></summary><pre tabIndex="0" aria-label="Text of the mail">${text}</pre></details>
  </div>`;
}

// A form of one field, sent as it is, brings the HTML back as a document that is closed in: functions/console/previews.py.
function Framed({ page }) {
  const form = useRef(null);
  useEffect(() => form.current.submit(), [page]);
  return html`<form ref=${form} method="post" action="/console/mail" enctype="text/plain" target="mail" hidden>
      <textarea name="html" aria-label="HTML of the mail" value=${page}></textarea>
    </form>
    <iframe class="mail" name="mail" title="The mail as HTML" sandbox=""></iframe>
    <p class="hint">Nothing is loaded from elsewhere, and links lead nowhere.</p>`;
}
