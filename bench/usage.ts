/** An option that there is not, or that lacks its value: the caller's mistake, told in a line and without a stack. */
export const isUsage = (error: unknown): error is Error =>
  error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS_");
