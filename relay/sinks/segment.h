/* segment.h — lives in liboutbox now, where readers of a stream need it too. */
#include "../../liboutbox/segment.h"
