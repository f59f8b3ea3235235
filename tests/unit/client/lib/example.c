/* A program in C as a user writes it: asks the host at $HOSTCALL_ADDRESS to echo. Built by install_test.py. */
#include <hostcall/hostcall.h>
#include <stdio.h>

int main(void) {
  hostcall_result* result = hostcall_result_new();
  hostcall_client* client = NULL;
  hostcall_call_options options = {sizeof options, 0, 0};
  int code;
  options.timeout_ms = 5000;
  if (hostcall_client_new(NULL, &client, result) == HOSTCALL_OK)
    (void)hostcall_call(client, "hostcall.v1.Session/Ping", hostcall_bytes("", 0), &options, result);
  code = hostcall_result_code(result);
  printf("%s: %s\n", hostcall_code_name(code), hostcall_result_message(result));
  hostcall_client_free(client);
  hostcall_result_free(result);
  return code;
}
