// Services of a scripted host: what hostcall's verbs do with each answer that a host can give, also with those that a
// real one gives only when it is in trouble.
#pragma once

#include "tests/unit/client/lib/scripted_host.h"

namespace hostcall::test {

// Relay/Open, by the service's name: "echo" returns what it gets, and its end after the client's; "farewell" says "bye"
// and its end, and takes what comes until the client's; "endless" sends for ever, and "count" answers the client's end
// with the number of its bytes. "hang" never answers; "later" is over a limit once and then as echo; "break" opens and
// loses the connection. Every other name is the code of a refusal, in digits.
//
// Run/Start, by the service's name: "cat" returns its input and exits with 0 at its end. "words" prints its arguments
// in brackets. "ended" writes "out" and "err" and has the exit code, the signal and the reason of its arguments;
// "vanish" writes them and then ends the call without a word on the program. "endless", "hang", "later", "break" and
// codes are as above; "sleep" runs and says nothing.
Script services_script();

}  // namespace hostcall::test
