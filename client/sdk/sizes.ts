/** From which size on values stop travelling inside messages. */

/** A value above this is put, and passed as an object. */
export const valueBytesMax = 64 * 1024;
/** All values of one stage together, and every pack of items; what is above is put. */
export const packBytesMax = 256 * 1024;
