import { Injectable } from '@nestjs/common';
import { LogsDb } from '../logsdb/logsdb.service.js';

export interface Run {
  run_id: string;
  auto_name: string;
  org_name: string;
  start_at: Date;
  end_at: Date | null;
  status: string | null;
  total_target: number;
  success_count: number;
  fail_count: number;
}

@Injectable()
export class RunsService {
  constructor(private readonly logsDb: LogsDb) {}

  /** The latest runs, newest first. */
  latest(limit: number): Promise<Run[]> {
    return this.logsDb.query<Run>(
      `SELECT r.run_id, a.auto_name, o.org_name, r.start_at, r.end_at, r.status,
              r.total_target, r.success_count, r.fail_count
         FROM auto_run_log r JOIN automation a USING (auto_id) JOIN org_group o ON o.org_id = r.org_id
        ORDER BY r.run_id DESC LIMIT $1`,
      [limit],
    );
  }
}
