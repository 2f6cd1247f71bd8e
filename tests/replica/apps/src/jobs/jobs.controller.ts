import { Controller, Get } from '@nestjs/common';
import { JobsService } from './jobs.service.js';

@Controller('jobs')
export class JobsController {
  constructor(private readonly jobs: JobsService) {}

  @Get()
  counts(): Promise<Record<string, number>> {
    return this.jobs.counts();
  }
}
