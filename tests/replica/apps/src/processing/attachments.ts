import { open, readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { Gate } from './gate.js';

export interface Attachment {
  status: 'FOUND' | 'NOT_FOUND' | 'DUPLICATED' | 'INVALID';
  message: string;
}

const MAX_READS = 5;
const NAME = /^[A-Za-z0-9._-]+$/;
/** First bytes by extension; csv is text and has none. */
const MAGIC: Record<string, Buffer> = {
  '.pdf': Buffer.from('%PDF-'),
  '.xls': Buffer.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]),
  '.xlsx': Buffer.from('PK\x03\x04'),
  '.csv': Buffer.alloc(0),
};

/** Finds the attachment of a customer in FILE_ROOT_PATH/AC/statement/YYYYMMDD and the folders below. */
@Injectable()
export class Attachments {
  private readonly root: string;
  private readonly gate = new Gate(MAX_READS);

  constructor(config: ConfigService) {
    this.root = join(config.getOrThrow<string>('FILE_ROOT_PATH'), 'AC', 'statement');
  }

  find(date: string, name: string): Promise<Attachment> {
    return this.gate.run(() => this.look(join(this.root, date), name));
  }

  private async look(folder: string, name: string): Promise<Attachment> {
    const magic = MAGIC[extname(name).toLowerCase()];
    if (!NAME.test(name) || magic === undefined) {
      return { status: 'INVALID', message: 'name or extension not allowed' };
    }
    let paths: string[];
    try {
      paths = await this.matches(folder, name);
    } catch (error) {
      return { status: 'NOT_FOUND', message: (error as Error).message };
    }
    if (paths.length === 0) {
      return { status: 'NOT_FOUND', message: `not in ${folder}` };
    }
    if (paths.length > 1) {
      return { status: 'DUPLICATED', message: `${paths.length} files of this name` };
    }
    return this.inspect(paths[0], magic);
  }

  private async matches(folder: string, name: string): Promise<string[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile() && entry.name === name).map((entry) => join(entry.parentPath, name));
  }

  private async inspect(path: string, magic: Buffer): Promise<Attachment> {
    try {
      const file = await open(path);
      try {
        const { size } = await file.stat();
        if (size === 0) {
          return { status: 'INVALID', message: 'size is 0' };
        }
        const head = Buffer.alloc(magic.length);
        await file.read(head, 0, magic.length, 0);
        return head.equals(magic)
          ? { status: 'FOUND', message: path }
          : { status: 'INVALID', message: 'content is not what the extension says' };
      } finally {
        await file.close();
      }
    } catch (error) {
      return { status: 'INVALID', message: (error as Error).message };
    }
  }
}
