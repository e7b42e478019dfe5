#!/usr/bin/env node
'use strict';
// Keeps how much was ordered by each customer, from the events of `orders`, each counted exactly once.
//
//     consumer.js [--until-idle MILLISECONDS] DATABASE
//
// The sums and the cursor are in one database, in one transaction: a kill at any moment loses nothing and counts nothing
// twice. The table `orders` has `customer` and `total`; see contrib/node for the package.
const {parseArgs} = require('node:util');
const outbox = require('../../node'); // 'outbox-sqlite' where it is installed

async function main() {
    const {values, positionals} = parseArgs({options: {'until-idle': {type: 'string'}}, allowPositionals: true});
    const stop = new AbortController();
    process.on('SIGTERM', () => stop.abort());
    const con = outbox.connect(positionals[0], {timeout: 30000}); // a consumer has time: others write too
    con.db.exec('CREATE TABLE IF NOT EXISTS sums(customer TEXT PRIMARY KEY, total REAL)');
    const add = con.db.prepare('INSERT INTO sums VALUES (@customer, @total)' +
                               ' ON CONFLICT (customer) DO UPDATE SET total = total + @total');
    const timeout = values['until-idle'] && Number(values['until-idle']);
    for await (const event of con.events('sums', {timeout, signal: stop.signal})) {
        if (event.table !== 'orders')
            continue; // acknowledged all the same
        con.transaction(() => {
            if (event.before)
                add.run({customer: event.before.customer, total: -event.before.total});
            if (event.payload)
                add.run({customer: event.payload.customer, total: event.payload.total});
            event.ack();
        });
    }
    con.close();
}

main().catch((error) => {
    console.error(error.message);
    process.exit(1);
});
