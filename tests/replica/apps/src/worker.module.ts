import { Module } from '@nestjs/common';
import { environment } from './config/environment.js';
import { LogsDbModule } from './logsdb/logsdb.module.js';
import { OracleModule } from './oracle/oracle.module.js';
import { Attachments } from './processing/attachments.js';
import { MailSender, SendLogOnlySender } from './processing/mail-sender.js';
import { Processor } from './processing/processor.service.js';
import { RunLog } from './processing/run-log.js';
import { OracleTargetSource, TargetSource } from './processing/target-source.js';
import { Scheduler } from './scheduling/scheduler.service.js';

@Module({
  imports: [environment, LogsDbModule, OracleModule],
  providers: [
    Scheduler,
    Processor,
    Attachments,
    RunLog,
    { provide: TargetSource, useClass: OracleTargetSource },
    { provide: MailSender, useClass: SendLogOnlySender },
  ],
})
export class WorkerModule {}
