/** A column's name as a parameter of a kernel. */
import { z } from "zod";

export const columnName = z.string().min(1).max(1_000);
