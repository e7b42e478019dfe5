// http2_receiver.js — a receiver that speaks HTTP/2 over TLS, and counts what a connection carried.
//
//     node http2_receiver.js CERTIFICATE KEY [DELAY_MS [GOAWAY_AFTER [REFUSE_EACH]]]
//
// prints "port N"; answers each request 200 after DELAY_MS (20). After every GOAWAY_AFTER requests of a connection it
// says that it takes no more (GOAWAY) and finishes those it has; every REFUSE_EACH-th stream is reset unread. SIGTERM
// ends it with a line of JSON: sessions, requests, distinct ids, most streams at once on one connection, and how often
// two of one key were under way (overlaps) or one came after a later one of its key (overtaken). Keys are those of binary CloudEvents.
'use strict';
const fs = require('fs');
const http2 = require('http2');

const [certificate, key, delay = 20, goaway = 0, refuse = 0] = process.argv.slice(2);
const seen = { sessions: 0, requests: 0, ids: 0, most: 0, overlaps: 0, overtaken: 0, refused: 0, http1: 0 };
const ids = new Set(), underWay = new Map(), newest = new Map();
let streams = 0;

const server = http2.createSecureServer({
  cert: fs.readFileSync(certificate), key: fs.readFileSync(key), allowHTTP1: true,
  settings: { maxConcurrentStreams: 100 },
});

function begin(stream, headers) {
  const id = headers['webhook-id'], seq = Number(id.split('-')[1]);
  const key_ = headers['ce-partitionkey'];
  seen.requests++;
  seen.overlaps += (underWay.get(key_) || 0) > 0;
  seen.overtaken += (newest.get(key_) || 0) > seq;
  underWay.set(key_, (underWay.get(key_) || 0) + 1);
  newest.set(key_, seq);
  ids.add(id);
  stream.on('close', () => underWay.set(key_, underWay.get(key_) - 1));
}

server.on('session', (session) => {
  seen.sessions++;
  session.taken = session.open = 0;
  session.on('error', () => {});
});
server.on('stream', (stream, headers) => {
  const session = stream.session;
  stream.on('error', () => {});
  session.taken++;
  if (refuse && ++streams % refuse === 0) {
    seen.refused++;
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    return;
  }
  begin(stream, headers);
  seen.most = Math.max(seen.most, ++session.open);
  stream.on('close', () => session.open--);
  stream.resume();
  stream.on('end', () => setTimeout(() => {
    if (!stream.destroyed) {
      stream.respond({ ':status': 200 });
      stream.end();
    }
  }, Number(delay)));
  if (goaway && session.taken === Number(goaway)) session.close();
});
server.on('request', (request) => { seen.http1 += request.httpVersionMajor === 1; });
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
process.on('SIGTERM', () => {
  console.log(JSON.stringify({ ...seen, ids: ids.size }));
  process.exit(0);
});
