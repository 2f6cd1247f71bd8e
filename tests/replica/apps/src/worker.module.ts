import { Module } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { environment } from './config/environment.js';
import { LogsDbModule } from './logsdb/logsdb.module.js';
import { OracleModule } from './oracle/oracle.module.js';
import { Attachments } from './processing/attachments.js';
import { MailSender, SendLogOnlySender } from './processing/mail-sender.js';
import { SesSender } from './processing/ses-sender.js';
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
    {
      provide: MailSender,
      inject: [ConfigService],
      // A replica without SES has no key in its .env.
      useFactory: (config: ConfigService): MailSender => (config.get('AWS_ACCESS_KEY') ? new SesSender(config) : new SendLogOnlySender()),
    },
  ],
})
export class WorkerModule {}
