// judge.js — a receiver made of other people's packages: standardwebhooks and svix verify each request, cloudevents
// parses it. Prints "port N", then a line of JSON for each request with what they said of it, and answers 200.
//
//     NODE_PATH=…/node_modules node judge.js SECRET…
//
// Each secret must verify by itself: while one is rotated, receivers know the old one or the new one. And of each request
// a copy with one byte changed must be refused: in the body, the id, the time, the signature.
'use strict';
const http = require('http');
const { HTTP } = require('cloudevents');
const standard = require('standardwebhooks');
const svix = require('svix');

const secrets = process.argv.slice(2);

function said(judge) {
  try {
    judge();
    return 'ok';
  } catch (error) {
    return String(error.message || error);
  }
}

// The cases that must be refused: [body, headers] with one byte changed.
function* forgeries(body, headers) {
  const other = (text, at) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
  if (body.length) yield [other(body, body.length >> 1), headers];
  yield [body + ' ', headers];
  yield [body, { ...headers, 'webhook-id': other(headers['webhook-id'], 3) }];
  yield [body, { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) }];
  const each = headers['webhook-signature'].split(' ').map((signature) => other(signature, 10));
  yield [body, { ...headers, 'webhook-signature': each.join(' ') }];
}

function verdict(request, body) {
  const { headers } = request;
  const judges = secrets.flatMap((secret) =>
    [standard.Webhook, svix.Webhook].map((Webhook) => (b, h) => new Webhook(secret).verify(b, h)));
  const accepted = judges.map((judge) => said(() => judge(body, headers)));
  let forged = 0, let_through = 0;
  for (const [b, h] of forgeries(body, headers))
    for (const judge of judges) {
      forged++;
      let_through += said(() => judge(b, h)) === 'ok';
    }
  let events = [], cloudevents = 'ok';
  if (request.url !== '/native')
    cloudevents = said(() => {
      events = [].concat(HTTP.toEvent({ headers, body }));
      for (const event of events) event.validate();
    });
  else
    events = JSON.parse(body);
  return { path: request.url, accepted, forged, let_through, cloudevents, note: headers['x-note'], events };
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    console.log(JSON.stringify(verdict(request, Buffer.concat(parts).toString())));
    response.end();
  });
});
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
