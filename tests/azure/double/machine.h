/* What a machine can be told: power, run-command, boot diagnostics, and its health. */
#pragma once
#include "exchange.h"

void machine_handle_power(Exchange *exchange);
void machine_handle_run_command(Exchange *exchange);
void machine_handle_boot_diagnostics(Exchange *exchange);
void machine_handle_serial_log(Exchange *exchange);
void machine_handle_health(Exchange *exchange); /* Microsoft.ResourceHealth */
