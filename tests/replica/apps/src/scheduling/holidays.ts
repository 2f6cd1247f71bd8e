import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INSTALL_DIR } from '../config/environment.js';

const FILE = join(INSTALL_DIR, 'config', 'holidays.json');

/** Days without daily runs, as YYYY-MM-DD, from config/holidays.json; the file is part of every deployment. */
export function readHolidays(): string[] {
  const text = readFileSync(FILE, 'utf8');
  try {
    return JSON.parse(text) as string[];
  } catch (error) {
    throw new Error(`${FILE} is damaged: ${(error as Error).message}`);
  }
}
