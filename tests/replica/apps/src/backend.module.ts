import { Module } from '@nestjs/common';
import { environment } from './config/environment.js';
import { DbioModule } from './dbio/dbio.module.js';
import { HealthModule } from './health/health.module.js';
import { JobsModule } from './jobs/jobs.module.js';
import { LogsDbModule } from './logsdb/logsdb.module.js';
import { OracleModule } from './oracle/oracle.module.js';
import { RunsModule } from './runs/runs.module.js';

@Module({ imports: [environment, LogsDbModule, OracleModule, HealthModule, RunsModule, JobsModule, DbioModule] })
export class BackendModule {}
