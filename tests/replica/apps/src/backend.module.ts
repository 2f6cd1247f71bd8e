import { Module } from '@nestjs/common';
import { environment } from './config/environment.js';
import { HealthModule } from './health/health.module.js';
import { JobsModule } from './jobs/jobs.module.js';
import { LogsDbModule } from './logsdb/logsdb.module.js';
import { RunsModule } from './runs/runs.module.js';

@Module({ imports: [environment, LogsDbModule, HealthModule, RunsModule, JobsModule] })
export class BackendModule {}
