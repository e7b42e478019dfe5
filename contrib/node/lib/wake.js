'use strict';
// Waits for other connections' commits without polling: the file system tells when the write-ahead log is written
// (inotify). That is often before the commit can be seen, so a few looks follow it with growing pauses; a slow look
// now and then is the safety net where nothing is told.
const fs = require('node:fs');
const path = require('node:path');

const PAUSES_MS = [0, 1, 2, 5, 10, 20, 50];
const SAFETY_MS = 1000;

class Wake {
    #watcher = null;
    #resume = null;
    #written = false;
    #closed = false;

    constructor(database) {
        const log = `${path.basename(database)}-wal`;
        try {
            this.#watcher = fs.watch(path.dirname(path.resolve(database)), {persistent: false}, (kind, name) => {
                if (name === log)
                    this.#wake();
            });
            this.#watcher.on('error', () => this.#stopWatching()); // the slow look remains
        } catch {
            this.#watcher = null;
        }
    }

    #stopWatching() {
        this.#watcher?.close();
        this.#watcher = null;
    }

    #wake() {
        this.#written = true;
        this.#resume?.();
    }

    async #sleep(ms) {
        let timer;
        await new Promise((resolve) => {
            this.#resume = resolve;
            timer = setTimeout(resolve, ms);
        });
        clearTimeout(timer);
        this.#resume = null;
    }

    /** Calls look() until it gives true, ms have passed (false), or close() was called (false). */
    async until(look, ms) {
        const end = ms === undefined ? Infinity : performance.now() + ms;
        while (!this.#closed) {
            for (const pause of this.#written ? PAUSES_MS : [0]) {
                this.#written = false;
                if (pause)
                    await this.#sleep(pause);
                if (this.#closed)
                    return false;
                if (look())
                    return true;
            }
            const left = end - performance.now();
            if (left <= 0)
                return false;
            if (!this.#written)
                await this.#sleep(Math.min(left, SAFETY_MS));
        }
        return false;
    }

    close() {
        this.#closed = true;
        this.#stopWatching();
        this.#resume?.();
    }
}

module.exports = {Wake};
