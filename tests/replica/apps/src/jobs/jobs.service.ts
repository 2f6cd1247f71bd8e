import { Injectable } from '@nestjs/common';
import { LogsDb } from '../logsdb/logsdb.service.js';

@Injectable()
export class JobsService {
  constructor(private readonly logsDb: LogsDb) {}

  /** How many jobs are WAITING, RUNNING, DONE, FAIL. */
  async counts(): Promise<Record<string, number>> {
    const rows = await this.logsDb.query<{ status: string; jobs: number }>(
      'SELECT status, count(*)::int AS jobs FROM job_queue GROUP BY status',
    );
    return Object.fromEntries(rows.map((row) => [row.status, row.jobs]));
  }
}
