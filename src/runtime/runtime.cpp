#include "octavo/runtime/runtime.h"
