#include "flow-support.h"
