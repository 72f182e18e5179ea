// SparkPost's client for Node.js, used as its users do. One JSON object on stdin tells what to do, one on stdout what came.
'use strict';

const SparkPost = require('sparkpost');

// Follows links until there are none: an object with `next` in one dialect, a list with `rel: next` in the other.
async function walk(client, page) {
  const pages = [];
  for (;;) {
    pages.push(page);
    const next = Array.isArray(page.links)
      ? (page.links.find((link) => link.rel === 'next') || {}).href
      : page.links.next;
    if (!next) {
      return pages;
    }
    page = await client.get({uri: next});
  }
}

const actions = {
  searchMessage: async (client, {parameters}) => walk(client, await client.events.searchMessage(parameters)),
  messageEvents: async (client, {parameters}) => walk(client, await client.messageEvents.search(parameters)),
  webhookSamples: (client, {parameters}) => client.webhooks.getSamples(parameters),
  webhookDocumentation: (client) => client.webhooks.getDocumentation(),
  get: (client, {uri}) => client.get({uri}),
  // With `debug` the client leaves the answer as it came beside the body.
  headers: async (client, {uri}) => (await client.get({uri, debug: true})).debug.headers,
  callback: (client, {parameters}) => new Promise((resolve, reject) => {
    client.events.searchMessage(parameters, (err, body) => (err ? reject(err) : resolve(body)));
  }),
};

async function main() {
  const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const client = new SparkPost(asked.key, {endpoint: asked.endpoint});
  let answer;
  try {
    answer = {body: await actions[asked.action](client, asked)};
  } catch (err) {
    answer = {failure: {name: err.name, statusCode: err.statusCode, errors: err.errors, message: err.message}};
  }
  process.stdout.write(JSON.stringify(answer));
}

main();
