/** Runs on the cluster: nothing, so that what is measured is the way there and back. */
export const nothing = (): void => undefined;
export const ignore = (_item: number): void => undefined;
