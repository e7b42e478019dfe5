/* receiver.h — the webhook's receiver and the network before it: libcurl's multi interface, without a network.
 *
 * What is sent is read from the body, as a receiver would. An answer comes when time has passed; it may be any, or get
 * lost on its way though the event was taken. The receiver keeps its own count, and judges order as the events arrive.
 */
#ifndef SIMULATION_RECEIVER_H
#define SIMULATION_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>

void receiver_begin(bool batches);
void receiver_trouble(int in_a_thousand); /* how often an answer is not 200 */
void receiver_is_down(bool);
void receiver_hates(int key); /* all of its events are answered 500; -1: nobody */

/* The events that are committed, so that no other may arrive. key -1: unordered. */
void receiver_expect(int64_t seq, int key);

bool receiver_has(int64_t seq);
int64_t receiver_due_us(void); /* when the next answer comes; INT64_MAX: nothing is under way */

/* The relay is dead: of what is under way some has arrived, and some never will. */
void receiver_cut_off(void);

#endif
