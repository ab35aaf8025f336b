/** An option that there is not, or that lacks its value: the caller's mistake, told in a line and without a stack. */
const isUsage = (error: unknown): error is Error =>
  error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS_");

/** Runs a program and sets its exit status: what it returns, or 2 for a wrong option. */
export async function exitWith(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!isUsage(error)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
